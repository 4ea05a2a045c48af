import { Button, Group, Modal, Radio, Stack, Text, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { Decision, NewDecision, ReviewDetail } from '~/api'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import thread from '~/components/Thread.module.css'
import { useDecide, useWithdraw } from '~/data/reviews'
import { useDraftText } from '~/lib/draftText'
import { ago, moment } from '~/lib/format'
import { VERDICTS } from '~/lib/reviews'

type Verdict = NewDecision['decision']

const MEANS: Record<Verdict, string> = {
  approve: 'You stand for this choice.',
  request_changes: 'It cannot be approved until you withdraw or replace this.',
  reject: 'The review is rejected until you withdraw or replace this.',
}

const SAID: Record<Verdict, string> = {
  approve: 'approved',
  request_changes: 'requests changes',
  reject: 'rejected',
}

/** The role in which it was made, and what became of it. */
function roleOf({ role, given_as }: Decision): string {
  if (role === null) return 'no longer a member'
  return role === given_as ? role : `as ${given_as}, now ${role}`
}

/** Decisions that stand, and yours. */
export function DecisionPanel({ review, you }: { review: ReviewDetail; you: string | null }) {
  const own = review.decisions.find((one) => one.person === you)
  // Held here: what refuses a decision may also take the form away, and it is to be read all the same.
  const decide = useDecide(review.id, you)
  return (
    <Panel title="Decision" aria-label="Decision">
      <Text size="sm" fw={600}>
        {review.missing}
      </Text>
      <Stack gap="xs" mt="xs" component="ul" style={{ listStyle: 'none', padding: 0, margin: 0 }}>
        {review.decisions.map((one) => (
          <li key={one.person}>
            <Text size="sm" className={thread.text}>
              <span className={thread.who}>{one.person}</span> {SAID[one.decision]}: {one.reason}
            </Text>
            <Text size="xs" c="dimmed" title={moment(one.created_at)}>
              {roleOf(one)}, {ago(one.created_at)}
              {!one.counts && ', does not count'}
            </Text>
          </li>
        ))}
      </Stack>
      {decide.error && (
        <div style={{ marginTop: 10 }}>
          <ProblemNotice error={decide.error} />
        </div>
      )}
      {review.you?.may_decide ? (
        <DecisionForm key={own?.created_at} review={review} you={you} mine={own?.decision} decide={decide} />
      ) : (
        review.you?.refusal && (
          <Text size="xs" c="dimmed" mt="sm">
            {review.you.refusal}
          </Text>
        )
      )}
    </Panel>
  )
}

interface FormProps {
  review: ReviewDetail
  you: string | null
  mine: Verdict | undefined
  decide: ReturnType<typeof useDecide>
}

function DecisionForm({ review, you, mine, decide }: FormProps) {
  const [verdict, setVerdict] = useState<Verdict | null>(null)
  const [reason, setReason] = useDraftText(`decision ${review.id}`)
  const [asking, setAsking] = useState<'decide' | 'withdraw' | null>(null)
  const [tried, setTried] = useState(false)
  const withdraw = useWithdraw(review.id, you)
  const ask = (what: 'decide' | 'withdraw') => {
    setTried(true)
    if (reason.trim() && (what === 'withdraw' || verdict)) setAsking(what)
  }
  const go = () => {
    const done = { onSuccess: () => setReason(''), onSettled: () => setAsking(null) }
    if (asking === 'withdraw') withdraw.mutate(reason.trim(), done)
    else if (verdict) decide.mutate({ decision: verdict, reason: reason.trim() }, done)
  }
  return (
    <>
      <Stack gap="xs" mt="sm">
        <Radio.Group
          label={mine ? 'Replace your decision' : 'Your decision'}
          value={verdict ?? ''}
          onChange={(next) => setVerdict(next as Verdict)}
          error={tried && !verdict && !mine ? 'Choose one.' : undefined}
        >
          <Stack gap={10} mt={6}>
            {(Object.keys(VERDICTS) as Verdict[]).map((one) => (
              <Radio
                key={one}
                size="sm"
                value={one}
                label={VERDICTS[one]}
                description={one === 'approve' && review.you?.refusal ? review.you.refusal : undefined}
              />
            ))}
          </Stack>
        </Radio.Group>
        <Textarea
          label="Reason"
          required
          autosize
          minRows={2}
          maxRows={10}
          maxLength={4000}
          value={reason}
          error={
            tried && !reason.trim() ? 'Say why: a decision without a reason helps nobody later.' : undefined
          }
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <Group gap="xs">
          <Button size="xs" onClick={() => ask('decide')}>
            Decide
          </Button>
          {mine && (
            <Button size="xs" variant="default" onClick={() => ask('withdraw')}>
              Withdraw your decision
            </Button>
          )}
        </Group>
      </Stack>
      <Modal
        opened={asking !== null}
        onClose={() => setAsking(null)}
        centered
        title={asking === 'withdraw' ? 'Withdraw your decision' : verdict ? VERDICTS[verdict] : ''}
        styles={{ title: { fontWeight: 600 } }}
        closeButtonProps={{ 'aria-label': 'Do not decide now' }}
      >
        <Text size="sm">
          {asking === 'withdraw'
            ? 'Your decision no longer stands; it stays in the history.'
            : verdict && MEANS[verdict]}
        </Text>
        <Text size="sm" mt="xs" className={thread.text}>
          “{reason.trim()}”, {you}
        </Text>
        <Text size="xs" c="dimmed" mt="xs">
          It stays in the history for good, with your name and the time.
        </Text>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={() => setAsking(null)} data-autofocus>
            Not yet
          </Button>
          <Button
            color={asking === 'decide' && verdict === 'reject' ? 'red.9' : undefined}
            loading={decide.isPending || withdraw.isPending}
            onClick={go}
          >
            {asking === 'withdraw' ? 'Withdraw' : `Yes, ${verdict ? VERDICTS[verdict].toLowerCase() : ''}`}
          </Button>
        </Group>
      </Modal>
    </>
  )
}
