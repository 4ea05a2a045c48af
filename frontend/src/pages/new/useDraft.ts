import { useCallback, useEffect, useState } from 'react'
import { type Draft, looksLikeDraft } from '~/spec/draft'

const KEY = 'equipoise.draft'

interface Stored {
  origin: string
  draft: Draft
}

function read(): Stored | null {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Stored | null
    return stored && typeof stored.origin === 'string' && looksLikeDraft(stored.draft) ? stored : null
  } catch {
    return null
  }
}

function write(stored: Stored) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(stored))
  } catch {
    // Storage may be full or refused; the form works all the same and only forgets on reload.
  }
}

/**
 * The study being written. It survives a reload, as long as it comes from the same origin (a preset, another
 * study, or nothing); another origin begins anew from what `load` gives once it has arrived.
 */
export function useDraft(origin: string, load: Draft | undefined) {
  const [stored, setStored] = useState<Stored | null>(read)
  const current = stored?.origin === origin ? stored.draft : undefined

  useEffect(() => {
    if (!current && load) setStored({ origin, draft: load })
  }, [current, load, origin])

  useEffect(() => {
    if (stored) write(stored)
  }, [stored])

  const replace = useCallback((draft: Draft) => setStored({ origin, draft }), [origin])
  const change = useCallback(
    (part: Partial<Draft>) =>
      setStored((before) => (before ? { ...before, draft: { ...before.draft, ...part } } : before)),
    [],
  )
  const reset = useCallback(() => load && setStored({ origin, draft: load }), [load, origin])
  return { draft: current, change, replace, reset }
}
