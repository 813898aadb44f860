import { tick } from '@isthmus/domain';
import type { ChangeEvent, RegisterMap } from '@isthmus/domain';
import { newUuid } from '@isthmus/service-kit';

let counter = 0;

/** A well-formed change event; every field can be given. */
export function changeEvent(given: Partial<ChangeEvent> & { registers?: RegisterMap } = {}): ChangeEvent {
  const { registers, ...rest } = given;
  const nowMs = 1_780_000_000_000 + counter++;
  const hlc = tick('', nowMs);
  const origin = rest.origin ?? 'north';
  return {
    id: newUuid(nowMs),
    type: 'PatientLocationChanged',
    source: `${origin}/update-relay`,
    subject: '1.2.3',
    time: new Date(nowMs).toISOString(),
    origin,
    hlc,
    path: [origin],
    v: 1,
    data: {
      aggregate: 'study',
      registers: registers ?? { patientLocation: { t: 'lww', value: 'WARD 7', rank: 1, hlc, origin } },
    },
    ...rest,
  };
}
