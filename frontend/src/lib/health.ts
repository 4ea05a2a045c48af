import type { Health } from '~/api'

export interface HealthSummary {
  tone: 'good' | 'caution' | 'alarm' | 'unknown'
  title: string
  advice?: string
}

/** The server's health in one line, with the next step where something is missing. Pure. */
export function summarise(health: Health | undefined, error: unknown): HealthSummary {
  if (error && !health)
    return {
      tone: 'alarm',
      title: 'Server not reachable',
      advice: 'Start it with "equipoise serve"; this page reconnects by itself.',
    }
  if (!health) return { tone: 'unknown', title: 'Checking the server' }
  if (!health.catalogue)
    return {
      tone: 'caution',
      title: 'No catalogue yet',
      advice: 'A worker publishes it when it starts. Start one with "equipoise worker".',
    }
  if (health.workers === 0)
    return {
      tone: 'caution',
      title: 'No worker online',
      advice: 'Studies wait in the queue. Start a worker with "equipoise worker".',
    }
  if (health.status !== 'ok')
    return { tone: 'caution', title: 'Running with limits', advice: health.message || undefined }
  return { tone: 'good', title: `${health.workers} worker${health.workers === 1 ? '' : 's'} online` }
}
