import { Fragment } from 'react'

/** Text from the server in which commands stand between backticks. */
export function Prose({ text }: { text: string }) {
  return text.split('`').map((part, i) =>
    i % 2 ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text have no identity but their place
      <code key={i}>{part}</code>
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text have no identity but their place
      <Fragment key={i}>{part}</Fragment>
    ),
  )
}
