import { Stack, Text } from '@mantine/core'
import { CodeBlock } from '~/components/CodeBlock'
import type { Draft } from '~/spec/draft'
import { curlLine, pythonLines } from '~/spec/snippets'

/** The same study from a shell or a notebook. */
export function CodePanel({ draft }: { draft: Draft }) {
  const origin = window.location.origin
  return (
    <Stack gap="md">
      <div>
        <Text size="sm" fw={500} mb={6}>
          From a shell
        </Text>
        <CodeBlock code={curlLine(origin, draft)} label="curl command" />
      </div>
      <div>
        <Text size="sm" fw={500} mb={6}>
          From Python
        </Text>
        <CodeBlock code={pythonLines(origin, draft)} label="Python lines" />
      </div>
    </Stack>
  )
}
