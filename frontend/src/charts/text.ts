/** Texts that Plotly draws. Pure. */

/** Plotly reads some markup in texts: what could be read as such is written out. */
export const inert = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** A text, inert, in lines of at most `width` characters; a longer word is cut. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text
    .split(/\s+/)
    .flatMap((one) => one.match(new RegExp(`.{1,${width}}`, 'gsu')) ?? [])) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map(inert)
}
