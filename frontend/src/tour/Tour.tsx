import { Button, Group, Paper, Text, VisuallyHidden } from '@mantine/core'
import { useReducedMotion, useViewportSize } from '@mantine/hooks'
import { useLocation, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { CARD_ID, ENTRY_ID, focusOn } from './focus'
import { cornerFor, scrollFor } from './place'
import { useProgress } from './progress'
import { placeOf, STEPS, type Step } from './steps'
import classes from './Tour.module.css'
import { useControl } from './useControl'
import { useFacts } from './useFacts'

/** Leads somebody who is here for the first time from an empty page to a decision. */
export function Tour() {
  const [progress, keep] = useProgress()
  const facts = useFacts(progress.state === 'new' || progress.state === 'open', progress.study)
  const nothing = facts.study === null
  const known = facts.study !== undefined
  useEffect(() => {
    // It begins by itself on an empty page only; who was sent a link to a result came for that.
    if (progress.state === 'new' && known) keep(nothing ? { state: 'open' } : { state: 'away' })
  }, [progress.state, known, nothing, keep])
  if (progress.state !== 'open') return null
  return <OpenTour progress={progress} keep={keep} facts={facts} />
}

type OpenProps = {
  progress: ReturnType<typeof useProgress>[0]
  keep: ReturnType<typeof useProgress>[1]
  facts: ReturnType<typeof useFacts>
}

function OpenTour({ progress, keep, facts }: OpenProps) {
  const path = useLocation({ select: (location) => location.pathname })
  const navigate = useNavigate()
  const place = placeOf(progress.step)
  const step = STEPS[place] as Step
  const study = facts.study?.id
  const here = isHere(step, path, study)
  const { control, box } = useControl(here ? step.control : undefined)
  const card = useRef<HTMLElement>(null)
  const label = useId()
  const corner = useCorner(card, control, box, `${step.id} ${path}`)
  const wish = useRef<'yes' | 'if lost' | null>(null)

  const open = useCallback(
    (next: Step) => {
      wish.current = 'yes'
      keep({ step: next.id, ...(study && { study }) })
      if (next.page === 'studies' && path !== '/studies') navigate({ to: '/studies' })
      if (next.page === 'study' && study && path !== `/studies/${study}`)
        navigate({ to: '/studies/$id', params: { id: study } })
    },
    [keep, navigate, path, study],
  )
  const leave = useCallback(
    (state: 'away' | 'done') => {
      keep({ state })
      focusOn(document.getElementById(ENTRY_ID), document.getElementById('main'))
    },
    [keep],
  )

  // Whoever arrives at a study while asked to run one has run it, or opened one.
  const before = useRef(path)
  useEffect(() => {
    const arrived = before.current !== path
    before.current = path
    const id = /^\/studies\/([^/]+)$/.exec(path)?.[1]
    const run = placeOf('run')
    if (!arrived || !id || place > run) return
    wish.current = 'if lost'
    keep({ step: STEPS[run + 1]?.id, study: id })
  }, [path, place, keep])

  useEffect(() => {
    // Asked for, it takes the focus; begun by itself, it leaves it where it is.
    if (document.activeElement?.id === ENTRY_ID) card.current?.focus({ preventScroll: true })
  }, [])
  // biome-ignore lint/correctness/useExhaustiveDependencies: the focus may move with each step and each control.
  useEffect(() => {
    const lost = !document.activeElement || document.activeElement === document.body
    if (wish.current === 'yes' || (wish.current === 'if lost' && lost)) {
      card.current?.focus({ preventScroll: true })
      wish.current = null
    }
  }, [step.id, control])

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.defaultPrevented) return
      const focused = document.activeElement
      if (card.current?.contains(focused)) leave('away')
      else if (focused === document.body || !focused) leave('away')
      else if (control?.contains(focused) && !focused.closest('[aria-expanded="true"]'))
        card.current?.focus({ preventScroll: true })
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [control, leave])

  const waits = step.waitsFor?.(facts)
  const next = STEPS[place + 1]
  const previous = STEPS[place - 1]
  const points = step.points?.(facts)
  const now = step.now?.(facts)
  return (
    <>
      {control && <style>{litStyle(step.control)}</style>}
      <Paper
        ref={card}
        id={CARD_ID}
        component="section"
        className={classes.card}
        aria-labelledby={label}
        tabIndex={-1}
        data-corner={corner}
        data-wide={points !== undefined || undefined}
        data-print="never"
      >
        <VisuallyHidden role="status">{`Tour, step ${place + 1} of ${STEPS.length}: ${step.title}`}</VisuallyHidden>
        <Group gap="sm" mb={8} wrap="nowrap">
          <Text size="xs" c="dimmed" className="tabular">
            Tour, {place + 1} of {STEPS.length}
          </Text>
          <div className={classes.steps} aria-hidden>
            {STEPS.map((one, i) => (
              <span key={one.id} data-past={i <= place || undefined} />
            ))}
          </div>
        </Group>
        <Text id={label} fw={600} size="lg">
          {step.title}
        </Text>
        <Text size="sm" mt={2}>
          {step.text(facts)}
        </Text>
        {points && (
          <dl className={classes.points}>
            {points.map(([word, meaning]) => (
              <Pair key={word} word={word} meaning={meaning} />
            ))}
          </dl>
        )}
        {now && (
          <div className={classes.now} role="status" aria-label="What happens now">
            {now}
          </div>
        )}
        {waits && (
          <Text size="sm" c="dimmed" mt={8}>
            {waits}
          </Text>
        )}
        {!here && (
          <Button mt={8} size="compact-sm" variant="light" onClick={() => open(step)}>
            {step.page === 'studies' ? 'Go to the studies' : 'Go to the study'}
          </Button>
        )}
        <div className={classes.foot}>
          <Button size="compact-sm" variant="subtle" color="gray" onClick={() => leave('away')}>
            Skip the tour
          </Button>
          {control && (
            <Button
              size="compact-sm"
              variant="default"
              title="Escape comes back here"
              onClick={() => reach(control)}
            >
              Go to it
            </Button>
          )}
          {previous && (
            <Button size="compact-sm" variant="default" onClick={() => open(previous)}>
              Back
            </Button>
          )}
          {next ? (
            waits == null && (
              <Button size="compact-sm" onClick={() => open(next)}>
                Next
              </Button>
            )
          ) : (
            <Button size="compact-sm" onClick={() => leave('done')}>
              Finish
            </Button>
          )}
        </div>
      </Paper>
    </>
  )
}

function Pair({ word, meaning }: { word: string; meaning: string }) {
  return (
    <>
      <dt>{word}</dt>
      <dd>{meaning}</dd>
    </>
  )
}

function isHere(step: Step, path: string, study: string | undefined): boolean {
  if (step.page === 'studies') return path === '/studies'
  // Without a study there is no page to go to; the text says what to do.
  if (step.page === 'study') return study === undefined || path === `/studies/${study}`
  return true
}

const litStyle = (mark: string | undefined) =>
  `[data-tour="${mark}"] { outline: 2px solid var(--mantine-color-anchor); outline-offset: 5px; border-radius: 6px; }`

/** To the control itself, or to the first thing in it that takes the keyboard. */
function reach(control: HTMLElement) {
  const inside = control.querySelector<HTMLElement>('a[href], button, summary, input, [tabindex="0"]')
  if (control.matches('a[href], button, summary, input, [tabindex]')) control.focus()
  else if (inside) inside.focus()
  else {
    control.tabIndex = -1
    control.focus()
  }
}

/** Where the card lies; the page is scrolled once for each step, so that its control is in view. */
function useCorner(
  card: React.RefObject<HTMLElement | null>,
  control: HTMLElement | null,
  box: ReturnType<typeof useControl>['box'],
  step: string,
) {
  const { width: wide, height: high } = useViewportSize()
  // Without the bar at the side that scrolls.
  const view = useMemo(
    () => ({ width: document.documentElement.clientWidth || wide, height: high }),
    [wide, high],
  )
  const still = useReducedMotion()
  const [size, setSize] = useState({ width: 0, height: 0 })
  useLayoutEffect(() => {
    const { offsetWidth: width = 0, offsetHeight: height = 0 } = card.current ?? {}
    if (width !== size.width || height !== size.height) setSize({ width, height })
  })
  const head = document.querySelector('header')?.offsetHeight ?? 0
  const shown = useRef('')
  useEffect(() => {
    if (!control || size.height === 0 || view.height === 0 || shown.current === step) return
    shown.current = step
    const by = scrollFor(control.getBoundingClientRect(), size, view, head)
    if (by !== 0) window.scrollBy({ top: by, behavior: still ? 'auto' : 'smooth' })
  }, [control, size, view, head, step, still])
  useEffect(() => {
    // Room at the end of the page, so that what is last there can be scrolled clear of the card.
    document.documentElement.style.setProperty('--eq-tour-room', `${size.height}px`)
    return () => {
      document.documentElement.style.removeProperty('--eq-tour-room')
    }
  }, [size.height])
  return cornerFor(box, size, view, head)
}
