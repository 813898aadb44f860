import fc from 'fast-check';
import type { Register, RegisterMap } from '../src/index.ts';

// Few distinct values, so that ties and clashes of type are common.
const lww = fc.record({
  t: fc.constant('lww'),
  value: fc.oneof(fc.constantFrom('a', 'b', null, 1, true), fc.record({ x: fc.integer({ min: 0, max: 2 }) })),
  rank: fc.integer({ min: 0, max: 2 }),
  hlc: fc.constantFrom('', '0000000000000001', '0000000000000002'),
  origin: fc.constantFrom('north', 'south', '1.2.3'),
});
/** As an edit writes it. */
const edited = fc
  .tuple(lww, fc.constantFrom('', '0000000000000001'), fc.constantFrom('dr.a', 'dr.b'))
  .map(([register, basis, by]) => ({ ...register, basis, by }));
const max = fc.record({
  t: fc.constant('max'),
  value: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('p', 'q')),
});
const later = fc.record({
  t: fc.constantFrom('set', 'counter'),
  items: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
});
const broken = fc.constantFrom<unknown>(
  null,
  7,
  'text',
  [],
  {},
  { t: 'lww', value: 1 },
  { t: 'lww', value: 1, rank: 'high', hlc: '', origin: '' },
  { t: 'map', entries: 3 },
  { t: 'map' },
  { t: 'max' },
  { t: 5 },
);
const names = fc.constantFrom('one', 'two', 'constructor', '__proto__', 'toString');

/** States with known, unknown and broken registers. As JSON off the wire is: `__proto__` is a member of its own. */
export const states = fc.letrec<{ state: RegisterMap; register: Register }>((tie) => ({
  register: fc.oneof(
    { maxDepth: 2 },
    lww,
    edited,
    max,
    later,
    broken,
    tie('state').map((entries) => ({ t: 'map', entries })),
  ) as fc.Arbitrary<Register>,
  state: fc
    .array(fc.tuple(names, tie('register')), { maxLength: 4 })
    .map((members) => Object.fromEntries(members)),
})).state;
