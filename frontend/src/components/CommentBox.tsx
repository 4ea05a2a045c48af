import { Combobox, Textarea, useCombobox } from '@mantine/core'
import { type KeyboardEvent, type Ref, useRef, useState } from 'react'
import { mentionAt, suggestions } from '~/lib/reviews'

interface Props {
  label: string
  value: string
  onChange: (text: string) => void
  /** Who can be mentioned. */
  people: readonly string[]
  onSubmit: () => void
  description?: string
  inputRef?: Ref<HTMLTextAreaElement>
  autoFocus?: boolean
  hideLabel?: boolean
}

/** A text with names completed after an @; Ctrl or Command with Enter sends it. */
export function CommentBox(props: Props) {
  const { label, value, onChange, people, onSubmit, hideLabel } = props
  const own = useRef<HTMLTextAreaElement | null>(null)
  const [caret, setCaret] = useState(0)
  const [dismissed, setDismissed] = useState<number | null>(null)
  const combobox = useCombobox()
  const at = mentionAt(value, caret)
  const names = at && at.from !== dismissed ? suggestions(at.typed, people) : []
  const open = names.length > 0

  const complete = (name: string) => {
    if (!at) return
    const before = `${value.slice(0, at.from)}@${name} `
    onChange(before + value.slice(caret).replace(/^ /, ''))
    setCaret(before.length)
    window.requestAnimationFrame(() => {
      own.current?.focus()
      own.current?.setSelectionRange(before.length, before.length)
    })
  }
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      onSubmit()
    } else if (event.key === 'Escape' && open && at) {
      event.stopPropagation()
      setDismissed(at.from)
    }
  }
  return (
    <Combobox
      store={{ ...combobox, dropdownOpened: open }}
      onOptionSubmit={complete}
      position="bottom-start"
      width={240}
      withinPortal
    >
      <Combobox.Target withKeyboardNavigation={open} withAriaAttributes={open}>
        <Textarea
          ref={(node) => {
            own.current = node
            const given = props.inputRef
            if (typeof given === 'function') given(node)
            else if (given) given.current = node
          }}
          label={hideLabel ? undefined : label}
          aria-label={hideLabel ? label : undefined}
          description={props.description}
          value={value}
          autosize
          minRows={2}
          maxRows={12}
          maxLength={10_000}
          data-autofocus={props.autoFocus || undefined}
          onChange={(event) => {
            onChange(event.currentTarget.value)
            setCaret(event.currentTarget.selectionStart)
            setDismissed(null)
            combobox.selectFirstOption()
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
          onKeyDown={keys}
        />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Options aria-label="People">
          {names.map((name, i) => (
            <Combobox.Option key={name} value={name} selected={i === 0 || undefined}>
              {name}
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  )
}
