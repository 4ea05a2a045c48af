/** A balance: one side coloured, both level. */
export function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0072B2" />
      <path d="M16 7v18M8 25h16M6 12h20" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" fill="none" />
      <circle cx="8" cy="16.5" r="3.6" fill="#E69F00" />
      <circle cx="24" cy="16.5" r="3.6" fill="#fff" />
    </svg>
  )
}
