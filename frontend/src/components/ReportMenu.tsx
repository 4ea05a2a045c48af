import { Button, Menu } from '@mantine/core'
import {
  IconChevronDown,
  IconFileDescription,
  IconFileText,
  IconFileTypeCsv,
  IconPackage,
} from '@tabler/icons-react'
import { useState } from 'react'
import { bundleFile, measurementsCsv, modelCard, report, reviewCsv, reviewReport } from '~/lib/links'
import { ModelCardPicker } from './ModelCardPicker'

interface Props {
  /** Studies that the files are of. */
  jobs?: readonly string[]
  /** Only these settings of them. */
  settings?: readonly number[]
  /** A review instead of studies. */
  review?: string
  /** The moment of a frozen view: later results stay out. */
  asOf?: string
  size?: 'xs' | 'sm'
}

/** Everything of a study, a selection or a review that can be kept as a file and needs no server to be read. */
export function ReportMenu({ jobs = [], settings = [], review, asOf, size = 'sm' }: Props) {
  const [picking, setPicking] = useState(false)
  const whole = settings.length === 0
  const [setting] = settings
  return (
    <>
      <Menu position="bottom-end" withinPortal width={260}>
        <Menu.Target>
          <Button
            variant="default"
            size={size}
            leftSection={<IconFileDescription size={15} aria-hidden />}
            rightSection={<IconChevronDown size={14} aria-hidden />}
          >
            Report
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconFileDescription size={15} aria-hidden />}
            component="a"
            href={review ? reviewReport(review) : report(jobs, settings, asOf)}
            download
          >
            {review ? 'Report of this review' : whole ? 'Report of this study' : 'Report of the selection'}{' '}
            (HTML)
          </Menu.Item>
          {!review && whole && (
            <Menu.Item leftSection={<IconFileText size={15} aria-hidden />} onClick={() => setPicking(true)}>
              Model card of a setting
            </Menu.Item>
          )}
          {setting !== undefined && settings.length === 1 && (
            <>
              <Menu.Item
                leftSection={<IconFileText size={15} aria-hidden />}
                component="a"
                href={modelCard(setting, 'html', jobs)}
                download
              >
                Model card (HTML)
              </Menu.Item>
              <Menu.Item
                leftSection={<IconFileText size={15} aria-hidden />}
                component="a"
                href={modelCard(setting, 'md', jobs)}
                download
              >
                Model card (Markdown)
              </Menu.Item>
            </>
          )}
          <Menu.Item
            leftSection={<IconFileTypeCsv size={15} aria-hidden />}
            component="a"
            href={review ? reviewCsv(review) : measurementsCsv(jobs, {}, settings)}
            download
          >
            Measurements (CSV)
          </Menu.Item>
          {!review && jobs.length === 1 && jobs[0] && (
            <Menu.Item
              leftSection={<IconPackage size={15} aria-hidden />}
              component="a"
              href={bundleFile(jobs[0])}
              download
            >
              Rerun bundle of the study (JSON)
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {picking && <ModelCardPicker jobs={jobs} onClose={() => setPicking(false)} />}
    </>
  )
}
