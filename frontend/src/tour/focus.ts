/** The entry of the tour in the navigation, where the focus goes when the tour is left. */
export const ENTRY_ID = 'tour-entry'
/** Its card. */
export const CARD_ID = 'tour'

/** The first of these that is drawn takes the focus. */
export function focusOn(...wanted: (HTMLElement | null)[]) {
  wanted.find((one) => one && one.getClientRects().length > 0)?.focus({ preventScroll: true })
}
