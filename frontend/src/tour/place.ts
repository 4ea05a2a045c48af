/** Where the card of the tour lies so that it never covers what it speaks about. Pure geometry, in pixels. */

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

export interface Size {
  width: number
  height: number
}

export type Corner = 'bottom-right' | 'top-right' | 'bottom-left' | 'top-left'

/** Distance of the card from the edges of the window, and of its control from the card. */
export const MARGIN = 12

/** `head` is what lies over the top of the window, as on a phone. */
export function boxAt(corner: Corner, card: Size, view: Size, head: number): Box {
  const left = corner.endsWith('right') ? view.width - MARGIN - card.width : MARGIN
  const top = corner.startsWith('bottom') ? view.height - MARGIN - card.height : head + MARGIN
  return { left, top, right: left + card.width, bottom: top + card.height }
}

const covered = (a: Box, b: Box) =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top))

const CORNERS: readonly Corner[] = ['bottom-right', 'top-right', 'bottom-left', 'top-left']

/** The first corner where the card covers nothing of the control, or else the one where it covers least. */
export function cornerFor(control: Box | null, card: Size, view: Size, head: number): Corner {
  if (!control) return 'bottom-right'
  const amounts = CORNERS.map((corner) => covered(boxAt(corner, card, view, head), control))
  return CORNERS[amounts.indexOf(Math.min(...amounts))] as Corner
}

/**
 * By how much to scroll so that the control is seen whole above the card: none where it already is, and its top first
 * where it is taller than the room there.
 */
export function scrollFor(control: Box, card: Size, view: Size, head: number): number {
  const floor = view.height - card.height - 2 * MARGIN
  const ceiling = head + MARGIN
  const beside = control.right <= view.width - card.width - 2 * MARGIN
  const low = beside ? view.height - MARGIN : floor
  if (control.top >= ceiling && control.bottom <= low) return 0
  const tall = control.bottom - control.top
  const room = low - ceiling
  return tall >= room ? control.top - ceiling : control.top - ceiling - (room - tall) / 2
}
