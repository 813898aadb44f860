import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  creatorOf,
  element,
  findPrivate,
  linkElements,
  privateBlock,
  privateCreator,
  privateTag,
  readPrivate,
  studyElements,
  vrOf,
} from './index.ts';

test('private elements are written into block 10 of the group of their creator', () => {
  assert.equal(privateTag(privateCreator.study, studyElements.holders), '00731009');
  assert.equal(privateTag(privateCreator.link, linkElements.payloadSha256), '0071100E');
  assert.deepEqual(
    privateBlock(privateCreator.study, { [studyElements.reportStatus]: element('CS', 'APPROVED') }),
    {
      '00730010': { vr: 'LO', Value: ['ISTHMUS STUDY 1.0'] },
      '00731001': { vr: 'CS', Value: ['APPROVED'] },
    },
  );
});

test('private elements are read from any block, and their creator in either letter case', () => {
  const row = {
    '00310010': element('LO', 'AGFA PACS ARCHIVE MIRRORING 1.0 '),
    '00310011': element('LO', 'Mitra Linked Attributes 1.0'),
    '00311020': element('LO', 'not this'),
    '00311120': element('LO', 'GPI-1'),
  };
  assert.deepEqual(readPrivate(row, privateCreator.mitraLinkedAttributes, 0x20), element('LO', 'GPI-1'));
  assert.equal(findPrivate(row, privateCreator.mitraLinkedAttributes, 0x20), '00311120');
  assert.equal(creatorOf(row, '00311120'), 'Mitra Linked Attributes 1.0');
});

test('a creator that reserved two blocks is read in both', () => {
  const row = {
    '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
    '00730012': element('LO', 'ISTHMUS STUDY 1.0'),
    '00731202': element('LO', 'addendum'),
  };
  assert.deepEqual(
    readPrivate(row, privateCreator.study, studyElements.reportSubStatus),
    element('LO', 'addendum'),
  );
});

test('without its creator, or under another group, a private element is nobody’s', () => {
  assert.equal(readPrivate({ '00731001': element('CS', 'NEW') }, privateCreator.study, 0x01), undefined);
  const elsewhere = { '00750010': element('LO', 'ISTHMUS STUDY 1.0'), '00751001': element('CS', 'NEW') };
  assert.equal(readPrivate(elsewhere, privateCreator.study, 0x01), undefined);
});

test('a creator that we do not know is read in whatever group it is', () => {
  const row = { '00990030': element('LO', 'SOMEBODY'), '00993007': element('LO', 'x') };
  assert.deepEqual(readPrivate(row, 'somebody', 7), element('LO', 'x'));
});

test('every private element that we name has a VR', () => {
  for (const [name, byte] of Object.entries(studyElements)) {
    const tag = privateTag(privateCreator.study, byte);
    assert.notEqual(vrOf(tag, { creator: privateCreator.study }), 'UN', name);
  }
  for (const [name, byte] of Object.entries(linkElements)) {
    assert.notEqual(
      vrOf(privateTag(privateCreator.link, byte), { creator: privateCreator.link }),
      'UN',
      name,
    );
  }
});
