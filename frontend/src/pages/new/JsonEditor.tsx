import { Text, Textarea } from '@mantine/core'
import { useEffect, useState } from 'react'
import { type Draft, looksLikeDraft } from '~/spec/draft'

interface Props {
  draft: Draft
  onChange: (draft: Draft) => void
}

/** The same study as JSON. The form follows as soon as the text can be read. */
export function JsonEditor({ draft, onChange }: Props) {
  const [text, setText] = useState(() => JSON.stringify(draft, null, 2))
  const [complaint, setComplaint] = useState<string>()

  // A change made on the form replaces the text; a change made here already equals it.
  useEffect(() => {
    setText((current) => (sameJson(current, draft) ? current : JSON.stringify(draft, null, 2)))
    setComplaint(undefined)
  }, [draft])

  const edit = (next: string) => {
    setText(next)
    try {
      const value: unknown = JSON.parse(next)
      if (!looksLikeDraft(value)) {
        setComplaint('Expected an object with dataset, model and methods, each with a name.')
        return
      }
      setComplaint(undefined)
      onChange(value)
    } catch (cause) {
      setComplaint(`This is not JSON yet. ${cause instanceof Error ? cause.message : ''}`)
    }
  }

  return (
    <>
      <Textarea
        label="Specification"
        description="What is posted to /api/jobs. The form shows the same study."
        value={text}
        error={complaint}
        autosize
        minRows={16}
        maxRows={40}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
        onChange={(event) => edit(event.currentTarget.value)}
      />
      <Text size="xs" c="dimmed" mt={6}>
        A list where a parameter can be swept is a sweep.
      </Text>
    </>
  )
}

function sameJson(text: string, draft: Draft): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === JSON.stringify(draft)
  } catch {
    return false
  }
}
