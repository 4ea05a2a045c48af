import { useCallback, useEffect, useState } from 'react'
import type { Box } from './place'

interface Found {
  control: HTMLElement | null
  box: Box | null
}

const NONE: Found = { control: null, box: null }

/** The first control of this name that is drawn, or null. */
export const controlOf = (mark: string | undefined): HTMLElement | null =>
  (mark &&
    [...document.querySelectorAll<HTMLElement>(`[data-tour="${mark}"]`)].find(
      (one) => one.getClientRects().length > 0,
    )) ||
  null

/** Where a control is in the window, followed while the page scrolls, grows and changes. */
export function useControl(mark: string | undefined): Found {
  const [found, setFound] = useState<Found & { mark: string | undefined }>({ ...NONE, mark })
  const look = useCallback(() => {
    const control = controlOf(mark)
    const box = control?.getBoundingClientRect() ?? null
    setFound((old) =>
      old.mark === mark && old.control === control && same(old.box, box) ? old : { mark, control, box },
    )
  }, [mark])
  useEffect(() => {
    look()
    let frame = 0
    const soon = () => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(look)
    }
    const changes = new MutationObserver(soon)
    changes.observe(document.body, { childList: true, subtree: true })
    const sizes = new ResizeObserver(soon)
    sizes.observe(document.body)
    window.addEventListener('scroll', soon, { passive: true, capture: true })
    window.addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(frame)
      changes.disconnect()
      sizes.disconnect()
      window.removeEventListener('scroll', soon, { capture: true })
      window.removeEventListener('resize', soon)
    }
  }, [look])
  // What was found for the step before is not this step's.
  return found.mark === mark ? found : NONE
}

const same = (a: Box | null, b: Box | null) =>
  a === b ||
  (a !== null &&
    b !== null &&
    a.left === b.left &&
    a.top === b.top &&
    a.right === b.right &&
    a.bottom === b.bottom)
