import { Button, Group, MultiSelect, NumberInput, Text, Textarea, TextInput } from '@mantine/core'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { Member } from '~/api'
import { Empty } from '~/components/Empty'
import { NameForm } from '~/components/NameForm'
import { PageHeader } from '~/components/PageHeader'
import { Panel } from '~/components/Panel'
import { ProblemNotice } from '~/components/ProblemNotice'
import { QuickstartButton } from '~/components/RunPresetButton'
import { usePerson } from '~/data/person'
import { jobsQuery } from '~/data/queries'
import { peopleQuery, useCreateReview } from '~/data/reviews'
import { useDraftText } from '~/lib/draftText'
import { ago, plural } from '~/lib/format'
import { parseSearch } from '~/lib/search'
import { NewMembers } from './NewMembers'
import classes from './NewReviewPage.module.css'
import { FEWEST, MOST, SettingsPicker } from './SettingsPicker'

const route = getRouteApi('/reviews/new')

/** A selection becomes a review: title, question, what is compared, who decides. */
export function NewReviewPage() {
  const view = route.useSearch()
  const navigate = route.useNavigate()
  const you = usePerson()
  const { data: people = [] } = useQuery(peopleQuery)
  const [title, setTitle] = useDraftText('new review title')
  const [question, setQuestion] = useDraftText('new review question')
  const [members, setMembers] = useState<Member[]>([])
  const [name, setName] = useState('')
  const [required, setRequired] = useState(1)
  const [tried, setTried] = useState(false)
  const create = useCreateReview(() => {
    setTitle('')
    setQuestion('')
  })
  const jobs = view.jobs ?? []
  const settings = (view.settings ?? []).map(Number)
  const set = (part: { jobs?: string[]; settings?: number[] }) =>
    navigate({
      search: (old) => ({
        ...old,
        jobs: part.jobs ?? old.jobs,
        settings: part.settings?.map(String) ?? old.settings,
      }),
      replace: true,
      resetScroll: false,
    })
  const approvers = members.filter((one) => one.role === 'approver').length
  const wrong = {
    title: title.trim() ? undefined : 'Give it a title.',
    settings:
      settings.length < FEWEST || settings.length > MOST
        ? `Choose ${FEWEST} to ${MOST} settings; ${settings.length} are chosen.`
        : undefined,
    member: name.trim() ? 'Add this member, or clear the name.' : undefined,
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (wrong.title || wrong.settings || wrong.member || !you) return
    create.mutate({
      title: title.trim(),
      question: question.trim(),
      job_ids: jobs,
      setting_ids: settings,
      members,
      required_approvals: required,
      view: parseSearch(view.view ?? ''),
      operating_point: view.point,
    })
  }
  return (
    <>
      <PageHeader
        title="New review"
        lead="The numbers of the settings are frozen as they are now. New results change nothing in the review; it announces them."
      />
      {!you && (
        <div className={classes.name}>
          <NameForm to="be its author" />
        </div>
      )}
      <form className={classes.form} onSubmit={submit} noValidate>
        <Panel title="What is to be decided">
          <TextInput
            label="Title"
            required
            value={title}
            maxLength={200}
            error={tried ? wrong.title : undefined}
            onChange={(event) => setTitle(event.currentTarget.value)}
          />
          <Textarea
            label="Question"
            description="What the team is to decide, in a sentence or two."
            mt="sm"
            autosize
            minRows={2}
            maxRows={10}
            maxLength={4000}
            value={question}
            onChange={(event) => setQuestion(event.currentTarget.value)}
          />
        </Panel>
        <Panel title={`Which settings: ${FEWEST} to ${MOST}`}>
          <Studies jobs={jobs} onChange={(next) => set({ jobs: next })} />
          {jobs.length > 0 && (
            <SettingsPicker jobs={jobs} chosen={settings} onChange={(next) => set({ settings: next })} />
          )}
          {tried && wrong.settings && (
            <Text size="sm" c="red" role="alert" mt="xs">
              {wrong.settings}
            </Text>
          )}
        </Panel>
        <Panel title="Who decides">
          <NewMembers
            members={members}
            people={people}
            you={you}
            name={name}
            onName={setName}
            error={tried ? wrong.member : undefined}
            onChange={setMembers}
          />
          <NumberInput
            label="Required approvals"
            description="Approvals of approvers that make it approved."
            mt="md"
            w={220}
            min={1}
            max={20}
            allowDecimal={false}
            clampBehavior="strict"
            value={required}
            onChange={(next) => setRequired(Math.max(1, Number(next) || 1))}
          />
          {approvers < required && (
            <Text size="xs" c="dimmed" mt={4}>
              {approvers === 0
                ? 'There is no approver yet'
                : `There ${approvers === 1 ? 'is' : 'are'} only ${plural(approvers, 'approver')}`}
              : you can add them later, and the author cannot approve.
            </Text>
          )}
        </Panel>
        {create.error && <ProblemNotice error={create.error} />}
        <Group>
          <Button type="submit" loading={create.isPending} disabled={!you}>
            Freeze the numbers and start
          </Button>
        </Group>
      </form>
    </>
  )
}

function Studies({ jobs, onChange }: { jobs: string[]; onChange: (jobs: string[]) => void }) {
  const { data } = useInfiniteQuery(jobsQuery({}))
  const known = data?.pages.flatMap((page) => page.items) ?? []
  const options = known
    .filter((job) => job.finished > 0 || jobs.includes(job.id))
    .map((job) => ({ value: job.id, label: `${job.name}, ${ago(job.created_at)}` }))
  for (const id of jobs)
    if (!options.some((one) => one.value === id)) options.push({ value: id, label: `Study ${id}` })
  if (data && options.length === 0)
    return (
      <Empty title="Nothing has been measured yet" actions={<QuickstartButton />}>
        A review compares settings that a study has measured.
      </Empty>
    )
  return (
    <MultiSelect
      label="Studies"
      data={options}
      value={jobs}
      searchable
      hidePickedOptions
      nothingFoundMessage="No study of that name"
      onChange={onChange}
    />
  )
}
