import { Alert, Button, FileButton, Group, Stack, Table, Text } from '@mantine/core'
import { IconPackage } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import * as api from '~/api'
import { ProblemNotice } from '~/components/ProblemNotice'
import { unwrap } from '~/data/http'
import { useSubmitStudy } from '~/data/mutations'
import type { Spec } from '~/data/types'
import { integer, plural } from '~/lib/format'
import { type BundleFile, readBundle } from './bundle'

/** A rerun bundle from a file: what differs here, then one click to train the same study again. */
export function RunBundle() {
  const [bundle, setBundle] = useState<BundleFile>()
  const [complaint, setComplaint] = useState<string>()
  const check = useMutation({
    mutationFn: (one: BundleFile) => unwrap(api.bundlesCheckBundle({ body: one as unknown as api.Bundle })),
  })
  const submit = useSubmitStudy()

  const open = async (file: File | null) => {
    if (!file) return
    setBundle(undefined)
    setComplaint(undefined)
    check.reset()
    const read = readBundle(await file.text())
    if (typeof read === 'string') setComplaint(read)
    else {
      setBundle(read)
      check.mutate(read)
    }
  }

  return (
    <Stack gap="sm">
      <Group gap="sm">
        <FileButton onChange={open} accept="application/json,.json">
          {(props) => (
            <Button
              {...props}
              variant="default"
              leftSection={<IconPackage size={15} aria-hidden />}
              loading={check.isPending}
            >
              Run a bundle
            </Button>
          )}
        </FileButton>
        <Text size="sm" c="dimmed">
          A rerun bundle from another study or server: specification, seeds, versions and hashes in one file.
        </Text>
      </Group>
      {complaint && (
        <Alert color="red" title="This file is not a rerun bundle" role="alert">
          {complaint}
        </Alert>
      )}
      {check.error && <ProblemNotice error={check.error} />}
      {bundle && check.data && (
        <Checked
          name={bundle.spec.name}
          check={check.data}
          busy={submit.isPending}
          onSubmit={() => submit.mutate(bundle.spec as Spec)}
        />
      )}
    </Stack>
  )
}

interface CheckedProps {
  name?: string
  check: api.BundleCheck
  busy: boolean
  onSubmit: () => void
}

function Checked({ name, check, busy, onSubmit }: CheckedProps) {
  return (
    <Alert color={check.same_runs === check.runs ? 'teal' : 'yellow'} title={name ?? 'Rerun bundle'}>
      <Text size="sm">
        {check.sentence}
        {check.measured > 0 && ` ${integer(check.measured)} of them measured here already.`}
      </Text>
      {check.differences.length > 0 && (
        <Table.ScrollContainer minWidth={480} mah={280} mt="sm">
          <Table aria-label="What differs here" stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>What differs</Table.Th>
                <Table.Th>In the bundle</Table.Th>
                <Table.Th>Here</Table.Th>
                <Table.Th>Can change results</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {check.differences.map((one) => (
                <Table.Tr key={one.what}>
                  <Table.Td>{one.what}</Table.Td>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>{one.bundle}</Table.Td>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>{one.here}</Table.Td>
                  <Table.Td>{one.matters ? 'yes' : 'no'}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <Button mt="sm" loading={busy} onClick={onSubmit}>
        Train its {plural(check.runs, 'run')}
      </Button>
    </Alert>
  )
}
