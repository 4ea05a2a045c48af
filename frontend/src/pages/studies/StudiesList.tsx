import { useState } from 'react'
import type { Job } from '~/api'
import { ConfirmDelete } from '~/components/ConfirmDelete'
import { useDeleteJob } from '~/data/mutations'
import classes from './StudiesList.module.css'
import { StudyRow } from './StudyRow'

/** The list itself, one row per study. */
export function StudiesList({ jobs }: { jobs: Job[] }) {
  const [doomed, setDoomed] = useState<Job | null>(null)
  const remove = useDeleteJob(() => setDoomed(null))
  return (
    <>
      <ul className={classes.list}>
        {jobs.map((job) => (
          <StudyRow key={job.id} job={job} onDelete={() => setDoomed(job)} />
        ))}
      </ul>
      <ConfirmDelete
        name={doomed?.name ?? null}
        busy={remove.isPending}
        onClose={() => setDoomed(null)}
        onConfirm={() => doomed && remove.mutate(doomed.id)}
      />
    </>
  )
}
