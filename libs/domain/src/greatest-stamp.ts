import type { Register, RegisterMap } from './registers.ts';

/** The greatest stamp in a state: what a reader has seen (ETag), and what an edit must beat. */
export function greatestStamp(state: RegisterMap, least = ''): string {
  let greatest = least;
  const visit = (register: Register): void => {
    if (register?.t === 'lww' && typeof register.hlc === 'string' && register.hlc > greatest)
      greatest = register.hlc;
    if (register?.t === 'map' && typeof register.entries === 'object' && register.entries !== null)
      Object.values(register.entries).forEach(visit);
  };
  Object.values(state).forEach(visit);
  return greatest;
}
