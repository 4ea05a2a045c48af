import type { Role } from '~/data/reviews'

export const ROLES: { value: Role; label: string }[] = [
  { value: 'approver', label: 'approver' },
  { value: 'reviewer', label: 'reviewer' },
  { value: 'author', label: 'author' },
]
