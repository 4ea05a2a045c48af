import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { Empty } from './Empty'

export function UnknownPage() {
  return (
    <Empty
      order={1}
      title="There is no page at this address"
      actions={<Button renderRoot={(props) => <Link to="/studies" {...props} />}>All studies</Button>}
    >
      The address may be mistyped, or what it named was deleted.
    </Empty>
  )
}
