import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPulls } from './pulls.ts';
import type { Arrival } from './pulls.ts';

const arrival = (sopInstanceUid: string, studyInstanceUid = '1.2'): Arrival => ({
  instance: {
    studyInstanceUid,
    seriesInstanceUid: '1.2.1',
    sopInstanceUid,
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    file: 'objects/00/x.dcm',
    fileBytes: 1,
  },
  callingAeTitle: 'ARCHIVE',
  peer: undefined,
});
const from = (callingAeTitle: string, moveOriginatorAeTitle?: string) => ({
  studyInstanceUid: '1.2',
  callingAeTitle,
  moveOriginatorAeTitle,
});

describe('[R4] an object and the pull that it came for', () => {
  const pulls = createPulls(() => 'NORTH');
  const pull = pulls.open({ studyInstanceUid: '1.2', peer: 'archive', aeTitles: ['ARCHIVE', 'ARCHIVE_OUT'] });

  it('belong together by the Move Originator, from whatever AE title it comes', () => {
    assert.equal(pulls.match(from('ARCHIVE', 'NORTH'))?.peer, 'archive');
    assert.equal(pulls.match(from('ARCHIVE_7', 'NORTH'))?.peer, 'archive');
  });

  it('do not when somebody else asked for it to be sent here', () => {
    assert.equal(pulls.match(from('ARCHIVE', 'WORKSTATION')), undefined);
  });

  it('belong together by an AE title of the source when no originator is named', () => {
    assert.equal(pulls.match(from('ARCHIVE_OUT'))?.peer, 'archive');
    assert.equal(pulls.match(from('CT1')), undefined);
    assert.equal(pulls.match({ ...from('ARCHIVE'), studyInstanceUid: '1.3' }), undefined);
  });

  it('no longer when the pull is over', () => {
    pulls.arrived(arrival('1.2.1.1'));
    pulls.arrived(arrival('1.3.1.1', '1.3'));
    pull.close();
    pulls.arrived(arrival('1.2.1.2'));
    assert.deepEqual([...pull.arrived], ['1.2.1.1']);
    assert.equal(pulls.match(from('ARCHIVE', 'NORTH')), undefined);
  });
});
