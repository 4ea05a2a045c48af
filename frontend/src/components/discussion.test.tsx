import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { SnapshotSetting, Thread } from '~/api'
import { useDraftText } from '~/lib/draftText'
import { namesOf } from '~/lib/reviews'
import { render } from '~/test/render'
import { CommentBox } from './CommentBox'
import { ThreadCard } from './ThreadCard'

const names = namesOf(
  { compared: [{ setting_id: 4, label: '<img src=x>', runs: [] } as unknown as SnapshotSetting] },
  { metrics: new Map(), subgroups: new Map() },
)
const PEOPLE = ['Ben Okri', 'Cleo']
const thread: Thread = {
  id: 2,
  anchor: { kind: 'setting', setting_ids: [4] },
  resolved: false,
  comments: [
    {
      id: 2,
      person: '<i>Ada</i>',
      text: '@Cleo <script>x</script>',
      mentions: ['Cleo'],
      created_at: '2026-01-01T00:00:00Z',
    },
    {
      id: 3,
      person: 'Ben Okri',
      text: 'Yes',
      mentions: [],
      created_at: '2026-01-01T00:00:00Z',
      edited_at: '2026-01-02T00:00:00Z',
      earlier: ['No'],
    },
  ],
}
const actions = () => ({ answer: vi.fn(), edit: vi.fn(), settle: vi.fn(), show: vi.fn() })

function Box({ onSubmit = () => undefined }: { onSubmit?: () => void }) {
  const [text, setText] = useState('')
  return <CommentBox label="Say" value={text} onChange={setText} people={PEOPLE} onSubmit={onSubmit} />
}

function Draft() {
  const [text, setText] = useDraftText('here')
  return (
    <CommentBox label="Say" value={text} onChange={setText} people={PEOPLE} onSubmit={() => setText('')} />
  )
}

beforeEach(() => window.localStorage.clear())

describe('a comment box', () => {
  it('completes a name after an @ by keyboard', async () => {
    render(<Box />)
    const box = screen.getByRole('textbox', { name: 'Say' })
    await userEvent.type(box, 'Please @be')
    expect(await screen.findByRole('option', { name: 'Ben Okri', hidden: true })).toBeInTheDocument()
    await userEvent.type(box, '{ArrowDown}{Enter}')
    await waitFor(() => expect(box).toHaveValue('Please @Ben Okri '))
    expect(screen.queryByRole('option', { hidden: true })).toBeNull()
  })

  it('sends with Control and Enter, and leaves Enter alone', async () => {
    const send = vi.fn()
    render(<Box onSubmit={send} />)
    const box = screen.getByRole('textbox', { name: 'Say' })
    await userEvent.type(box, 'a{Enter}b')
    expect(send).not.toHaveBeenCalled()
    await userEvent.type(box, '{Control>}{Enter}{/Control}')
    expect(send).toHaveBeenCalledOnce()
    expect(box).toHaveValue('a\nb')
  })

  it('keeps a draft over a reload until it is sent', async () => {
    const first = render(<Draft />)
    await userEvent.type(screen.getByRole('textbox', { name: 'Say' }), 'unfinished')
    first.unmount()
    const second = render(<Draft />)
    const box = screen.getByRole('textbox', { name: 'Say' })
    expect(box).toHaveValue('unfinished')
    await userEvent.type(box, '{Control>}{Enter}{/Control}')
    second.unmount()
    render(<Draft />)
    expect(screen.getByRole('textbox', { name: 'Say' })).toHaveValue('')
  })
})

describe('a thread', () => {
  const card = (
    given: ReturnType<typeof actions>,
    you: string | null,
    unsent: { text: string; thread: number }[] = [],
  ) =>
    render(
      <ul>
        <ThreadCard
          thread={thread}
          unsent={unsent}
          names={names}
          people={PEOPLE}
          you={you}
          maySettle={you !== null}
          draftKey="t"
          actions={given}
        />
      </ul>,
    )

  it('shows names, texts and anchors as text, whatever is in them', () => {
    const { container } = card(actions(), null)
    expect(container.querySelector('script, img, i')).toBeNull()
    expect(screen.getByText('<i>Ada</i>')).toBeInTheDocument()
    expect(screen.getByText('@Cleo')).toBeInTheDocument()
    expect(screen.getByText(/A: <img src=x>/)).toBeInTheDocument()
    expect(screen.queryByRole('button', { name: 'Answer' })).toBeNull()
  })

  it('keeps what a comment said before', () => {
    card(actions(), null)
    expect(screen.getByText('edited')).toBeInTheDocument()
    expect(screen.getByText('No')).toBeInTheDocument()
  })

  it('is answered, edited by its author alone, and resolved', async () => {
    const given = actions()
    card(given, 'Ben Okri')
    expect(screen.getAllByRole('button', { name: 'Edit' })).toHaveLength(1)
    await userEvent.click(screen.getByRole('button', { name: 'Edit' }))
    await userEvent.type(screen.getByRole('textbox', { name: 'Edit your comment' }), ' indeed')
    await userEvent.click(screen.getByRole('button', { name: 'Save' }))
    expect(given.edit).toHaveBeenCalledWith(3, 'Yes indeed')
    await userEvent.click(screen.getByRole('button', { name: 'Answer' }))
    await userEvent.type(screen.getByRole('textbox', { name: 'Answer in thread 2' }), 'Fine')
    await userEvent.click(screen.getByRole('button', { name: 'Answer' }))
    expect(given.answer).toHaveBeenCalledWith(2, 'Fine', expect.any(Function))
    // Until the server has it, the text is kept.
    expect(screen.getByRole('button', { name: 'Continue your answer' })).toBeInTheDocument()
    await userEvent.click(screen.getByRole('button', { name: 'Resolve' }))
    expect(given.settle).toHaveBeenCalledWith(2, true)
  })

  it('shows an answer that is on its way', () => {
    card(actions(), 'Cleo', [{ text: 'On it', thread: 2 }])
    expect(screen.getByText('On it')).toBeInTheDocument()
    expect(screen.getByText('sending')).toBeInTheDocument()
  })
})
