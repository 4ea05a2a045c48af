import { Button, Group, Stack, Tabs, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import type { Catalogue } from '~/api'
import { problemOf } from '~/data/http'
import { useSubmitStudy } from '~/data/mutations'
import { previewQuery } from '~/data/queries'
import { asSpec, type Draft } from '~/spec/draft'
import { fieldId, focusField } from '~/spec/problems'
import { CareSection } from './CareSection'
import { CodePanel } from './CodePanel'
import { DataSection } from './DataSection'
import { JsonEditor } from './JsonEditor'
import { MethodsSection } from './MethodsSection'
import { PreviewPanel } from './PreviewPanel'
import { ProblemsContext, useFieldProblem } from './ProblemsContext'
import { QuestionSection } from './QuestionSection'
import classes from './StudyForm.module.css'
import { ThereContext, thereOf } from './ThereContext'

const route = getRouteApi('/new')

interface Props {
  catalogue: Catalogue
  draft: Draft
  onChange: (part: Partial<Draft>) => void
  onReplace: (draft: Draft) => void
  onReset: () => void
}

/** The form, its JSON and its code on the left; what will run on the right. */
export function StudyForm({ catalogue, draft, onChange, onReplace, onReset }: Props) {
  const { as = 'form' } = route.useSearch()
  const navigate = route.useNavigate()
  const [round, setRound] = useState(0)
  const [settled] = useDebouncedValue(draft, 350)
  const preview = useQuery(previewQuery(asSpec(settled)))
  const there = useMemo(() => thereOf(catalogue, draft), [catalogue, draft])
  const submit = useSubmitStudy({ quiet: true })
  const failure = preview.error ?? (submit.error && submit.variables === asSpec(draft) ? submit.error : null)
  const problem = failure ? problemOf(failure) : undefined
  const problems = problem?.problems ?? []

  const start = () =>
    submit.mutate(asSpec(draft), {
      onError: (error) => {
        const first = problemOf(error).problems?.[0]
        if (first) focusField(first.field)
      },
    })

  return (
    <ProblemsContext value={problems}>
      <div className={classes.columns} id="form">
        <Stack gap="md" className={classes.form}>
          <NameField
            name={draft.name ?? ''}
            onChange={(name) => onChange({ name })}
            onReset={() => {
              onReset()
              setRound((n) => n + 1)
            }}
          />
          <Tabs
            value={as}
            keepMounted={false}
            onChange={(next) =>
              navigate({
                search: (old) => ({ ...old, as: next === 'form' ? undefined : (next as 'json' | 'code') }),
                resetScroll: false,
              })
            }
          >
            <Tabs.List mb="md">
              <Tabs.Tab value="form">Form</Tabs.Tab>
              <Tabs.Tab value="json">JSON</Tabs.Tab>
              <Tabs.Tab value="code">curl and Python</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="form">
              <ThereContext value={there}>
                <Stack gap="md" key={round}>
                  <DataSection catalogue={catalogue} draft={draft} onChange={onChange} />
                  <QuestionSection catalogue={catalogue} draft={draft} onChange={onChange} />
                  <MethodsSection catalogue={catalogue} draft={draft} onChange={onChange} />
                  <CareSection catalogue={catalogue} draft={draft} onChange={onChange} />
                </Stack>
              </ThereContext>
            </Tabs.Panel>
            <Tabs.Panel value="json">
              <JsonEditor draft={draft} onChange={onReplace} />
            </Tabs.Panel>
            <Tabs.Panel value="code">
              <CodePanel draft={draft} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
        <div className={classes.side}>
          <PreviewPanel
            catalogue={catalogue}
            preview={preview.data}
            stale={preview.isPlaceholderData || settled !== draft}
            problem={problem}
            submitting={submit.isPending}
            onSubmit={start}
            onRetry={() => preview.refetch()}
          />
        </div>
      </div>
    </ProblemsContext>
  )
}

interface NameProps {
  name: string
  onChange: (name: string) => void
  onReset: () => void
}

function NameField({ name, onChange, onReset }: NameProps) {
  return (
    <Group align="flex-end" gap="sm" wrap="nowrap">
      <TextInput
        id={fieldId('name')}
        label="Name of the study"
        error={useFieldProblem('name')}
        value={name}
        maxLength={200}
        onChange={(event) => onChange(event.currentTarget.value)}
        style={{ flex: 1 }}
      />
      <Button variant="subtle" color="gray" onClick={onReset}>
        Undo all changes
      </Button>
    </Group>
  )
}
