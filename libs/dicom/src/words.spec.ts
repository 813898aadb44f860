import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dimseStatus,
  isAeTitle,
  isFailure,
  isImageSopClass,
  isPending,
  isUid,
  isWarning,
  storageSopClasses,
  tags,
  transferSyntaxes,
  transferSyntaxOf,
  uidPattern,
  uids,
  vrOf,
} from './index.ts';

test('a UID is digits in components, without leading zeros, of 64 characters at most', () => {
  for (const uid of ['1', '0', '1.2.840.10008.1.1', '2.25.0', '1.'.repeat(31) + '12'])
    assert.equal(isUid(uid), true, uid);
  for (const text of [
    '',
    '1.',
    '.1',
    '1..2',
    '1.02',
    '1.2a',
    ' 1.2',
    '1.2\n',
    '1.'.repeat(32) + '1',
    12,
    undefined,
  ]) {
    assert.equal(isUid(text), false, String(text));
  }
});

test('a UID as it is met may have leading zeros, but no empty component', () => {
  for (const uid of ['1', '1.2.840.10008.1.1', '1.02.0003', '0'.repeat(64), '1.'.repeat(31) + '12']) {
    assert.match(uid, uidPattern);
  }
  for (const text of [
    '',
    '.',
    '..',
    '1..2',
    '.1',
    '1.',
    '1.2a',
    ' 1.2',
    '1.2\n',
    '1.2\0',
    '١.٢',
    '1.'.repeat(32) + '1',
  ]) {
    assert.doesNotMatch(text, uidPattern);
  }
});

test('an AE title is 1 to 16 printable ASCII characters without backslash, in its trimmed spelling', () => {
  for (const title of ['NORTH', 'A B', 'x', '1234567890123456']) assert.equal(isAeTitle(title), true, title);
  for (const text of ['', ' ', ' NORTH', 'NORTH ', '12345678901234567', 'A\\B', 'ÄE', 'A\tB', undefined, 7]) {
    assert.equal(isAeTitle(text), false, String(text));
  }
});

test('every UID that has a name is well-formed and has one name', () => {
  const all = [...storageSopClasses.keys(), ...transferSyntaxes.keys(), ...Object.values(uids)];
  assert.ok(all.every(isUid));
  assert.equal(new Set(Object.values(uids)).size, Object.values(uids).length);
  assert.ok(storageSopClasses.size > 180, `${storageSopClasses.size} storage classes`);
});

test('the storage classes that our samples use have names, our private class is not offered as storage', () => {
  assert.equal(storageSopClasses.get(uids.CTImageStorage), 'CT Image Storage');
  assert.equal(
    storageSopClasses.get(uids.GrayscaleSoftcopyPresentationStateStorage),
    'Grayscale Softcopy Presentation State Storage',
  );
  assert.equal(storageSopClasses.has(uids.IsthmusLinkedUpdateStorage), false);
  assert.equal(storageSopClasses.has(uids.VerificationSopClass), false);
});

test('presentation states, key objects, reports and documents are not counted as images', () => {
  const counted = [...storageSopClasses].filter(([uid]) => isImageSopClass(uid)).map(([, name]) => name);
  assert.ok(counted.includes('CT Image Storage'));
  assert.ok(counted.includes('RT Dose Storage'));
  assert.ok(counted.includes('Grayscale Softcopy Presentation State Storage') === false);
  assert.deepEqual(
    counted.filter((name) => /Presentation State|Key Object| SR |Encapsulated|Waveform/.test(name)),
    [],
  );
  assert.equal(isImageSopClass('1.2.3.4'), true);
});

test('transfer syntaxes say how a data set is laid out', () => {
  const layout = (uid: string) => {
    const { explicitVr, littleEndian, deflated, encapsulated } = transferSyntaxOf(uid)!;
    return { explicitVr, littleEndian, deflated, encapsulated };
  };
  const explicit = { explicitVr: true, littleEndian: true, deflated: false, encapsulated: false };
  assert.deepEqual(layout(uids.ExplicitVrLittleEndian), explicit);
  assert.deepEqual(layout(uids.ImplicitVrLittleEndian), { ...explicit, explicitVr: false });
  assert.deepEqual(layout(uids.ExplicitVrBigEndian), { ...explicit, littleEndian: false });
  assert.deepEqual(layout(uids.DeflatedExplicitVrLittleEndian), { ...explicit, deflated: true });
  assert.deepEqual(layout('1.2.840.10008.1.2.4.90'), { ...explicit, encapsulated: true });
  assert.equal(transferSyntaxOf('1.2.3'), undefined);
});

test('status words fall into one class each', () => {
  assert.ok(isPending(dimseStatus.Pending) && isPending(dimseStatus.PendingWarning));
  assert.ok(isWarning(dimseStatus.SubOperationsWarning) && isWarning(dimseStatus.ElementsDiscarded));
  for (const name of [
    'OutOfResources',
    'MoveDestinationUnknown',
    'CannotUnderstand',
    'LinkOff',
    'NotAuthorised',
  ] as const) {
    assert.ok(isFailure(dimseStatus[name]), name);
  }
  for (const status of Object.values(dimseStatus)) {
    const ends = status === dimseStatus.Success || status === dimseStatus.Cancel;
    assert.equal([ends, isPending(status), isWarning(status), isFailure(status)].filter(Boolean).length, 1);
  }
});

test('tags are 8 hex digits, each under one keyword, and the dictionary knows all of them', () => {
  const all = Object.values(tags);
  assert.equal(new Set(all).size, all.length);
  for (const [keyword, tag] of Object.entries(tags)) {
    assert.match(tag, /^[0-9A-F]{8}$/);
    assert.notEqual(vrOf(tag), 'UN', keyword);
  }
  assert.equal(tags.PatientID, '00100020');
  assert.equal(tags.InterpretationStatusID, '40080212');
});

test('the dictionary knows the VR of standard, repeating and reserved elements', () => {
  assert.equal(vrOf(tags.PatientName), 'PN');
  assert.equal(vrOf(tags.PixelData), 'OW');
  assert.equal(vrOf('60020010'), 'US');
  assert.equal(vrOf('50FE3000'), 'OW');
  assert.equal(vrOf('00203101'), 'CS');
  assert.equal(vrOf('00100000'), 'UL');
  assert.equal(vrOf('00090010'), 'LO');
  assert.equal(vrOf('00091001'), 'UN');
  assert.equal(vrOf('00100FFF'), 'UN');
});

test('Pixel Representation decides between US and SS', () => {
  assert.equal(vrOf(tags.SmallestImagePixelValue), 'US');
  assert.equal(vrOf(tags.SmallestImagePixelValue, { pixelRepresentation: 1 }), 'SS');
});

test('private elements have a VR by creator, in either letter case, and in the group of that creator only', () => {
  assert.equal(vrOf('00731009', { creator: 'ISTHMUS STUDY 1.0' }), 'SQ');
  assert.equal(vrOf('0073F009', { creator: 'isthmus study 1.0 ' }), 'SQ');
  assert.equal(vrOf('00311120', { creator: 'Mitra Linked Attributes 1.0' }), 'LO');
  assert.equal(vrOf('00711009', { creator: 'ISTHMUS STUDY 1.0' }), 'UN');
  assert.equal(vrOf('00731009'), 'UN');
});
