/** Below this many rows a subgroup's figure is mostly chance. */
export const SMALL_GROUP = 100

export const isSmall = (n: number | null | undefined): boolean =>
  n !== null && n !== undefined && n < SMALL_GROUP
