import { createHash } from 'node:crypto';
import { decodeDataSet, element, encodeDataSet, fileMetaInformation, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { crPixels, ctPixels, mrPixels } from './phantoms.ts';

/** One object of an invented study, ready to send: the encoded data set, and the same as a PS3.10 file. */
export interface SyntheticInstance {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly dataSet: Buffer;
  readonly file: Buffer;
}

export interface SyntheticPatient {
  readonly id: string;
  readonly name: string;
  /** DA. */
  readonly birthDate: string;
  readonly sex: 'F' | 'M' | 'O';
  readonly issuer?: string;
}

export interface SyntheticStudyOptions {
  readonly patient: SyntheticPatient;
  /** The same seed gives the same UIDs and pixels. */
  readonly seed: string;
  readonly modality: 'CT' | 'MR' | 'CR';
  /** DA. */
  readonly studyDate: string;
  readonly description: string;
  readonly bodyPart?: string;
  readonly accessionNumber?: string;
  readonly institution?: string;
  /** Objects in the one series; a CR has one. @default 12 */
  readonly instances?: number;
  /** Rows and columns. @default 256 (CR: 512) */
  readonly size?: number;
}

const sopClasses = {
  CT: '1.2.840.10008.5.1.4.1.1.2',
  MR: '1.2.840.10008.5.1.4.1.1.4',
  CR: '1.2.840.10008.5.1.4.1.1.1',
} as const;
/** Rows and columns. */
const defaultSize = { CT: 256, MR: 256, CR: 512 } as const;
/** What a presentation state has in common with the object that it is for. */
const patientAndStudy = [
  tags.SpecificCharacterSet,
  tags.StudyInstanceUID,
  tags.StudyDate,
  tags.StudyTime,
  tags.StudyID,
  tags.StudyDescription,
  tags.AccessionNumber,
  tags.ReferringPhysicianName,
  tags.PatientName,
  tags.PatientID,
  tags.IssuerOfPatientID,
  tags.PatientBirthDate,
  tags.PatientSex,
];
const softcopyPresentationState = '1.2.840.10008.5.1.4.1.1.11.1';

/** A UID under 2.25 (PS3.5 Annex B.2) that is the same for the same words. */
export function uidFrom(...words: readonly (string | number)[]): string {
  const bytes = createHash('sha256').update(words.join('/')).digest().subarray(0, 16);
  return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`;
}

/**
 * A study of an invented patient: valid image objects (Explicit VR Little Endian, 16 bit, one series) whose pixels show
 * a phantom, so that a person who opens one sees an image. Nothing random: the same options give the same bytes.
 */
export function syntheticStudy(options: SyntheticStudyOptions): readonly SyntheticInstance[] {
  const count = options.modality === 'CR' ? 1 : (options.instances ?? 12);
  const size = options.size ?? defaultSize[options.modality];
  return Array.from({ length: count }, (_, index) => imageInstance(options, index, count, size));
}

function imageInstance(
  options: SyntheticStudyOptions,
  index: number,
  count: number,
  size: number,
): SyntheticInstance {
  const { modality } = options;
  const paint = modality === 'CT' ? ctPixels : modality === 'MR' ? mrPixels : crPixels;
  const dataSet = {
    ...commonAttributes(options, sopClasses[modality], uidFrom(options.seed, 'instance', index)),
    [tags.SeriesInstanceUID]: element('UI', uidFrom(options.seed, 'series')),
    [tags.Modality]: element('CS', modality),
    [tags.SeriesNumber]: element('IS', 1),
    [tags.InstanceNumber]: element('IS', index + 1),
    [tags.SeriesDescription]: element('LO', `${modality} ${options.bodyPart ?? 'CHEST'}`),
    [tags.ImageType]: element('CS', 'ORIGINAL', 'PRIMARY', modality === 'CT' ? 'AXIAL' : 'OTHER'),
    ...geometry(modality, options.seed, index, count, size),
    ...pixelModule(modality, size),
  };
  const pixels = paint(size, count === 1 ? 0.5 : index / (count - 1));
  return finished(dataSet, pixels);
}

/**
 * A Grayscale Softcopy Presentation State for an object, real or invented: a text annotation and a displayed area, as a
 * reader makes it (PS3.3 A.33.1). It belongs to the patient and the study of the object.
 */
export function presentationStateFor(
  image: { readonly dataSet: Buffer; readonly transferSyntaxUid: string },
  label = 'NODULE',
): SyntheticInstance {
  const attributes = decodeDataSet(image.dataSet, image.transferSyntaxUid, { untilTag: 0x7fe00010 });
  const uidOf = (tag: string): string => String(attributes[tag]?.Value?.[0]);
  const seed = `${uidOf(tags.SOPInstanceUID)}/${label}`;
  const reference: DataSetJson = {
    [tags.ReferencedSOPClassUID]: element('UI', uidOf(tags.SOPClassUID)),
    [tags.ReferencedSOPInstanceUID]: element('UI', uidOf(tags.SOPInstanceUID)),
  };
  const extent = [tags.Columns, tags.Rows].map((tag) => Number(attributes[tag]?.Value?.[0] ?? 1));
  return finished({
    ...Object.fromEntries(
      patientAndStudy.flatMap((tag) => (attributes[tag] ? [[tag, attributes[tag]]] : [])),
    ),
    [tags.SOPClassUID]: element('UI', softcopyPresentationState),
    [tags.SOPInstanceUID]: element('UI', uidFrom(seed, 'gsps')),
    [tags.SeriesInstanceUID]: element('UI', uidFrom(seed, 'series-pr')),
    [tags.Modality]: element('CS', 'PR'),
    [tags.SeriesNumber]: element('IS', 900),
    [tags.InstanceNumber]: element('IS', 1),
    [tags.ContentLabel]: element('CS', label),
    [tags.ContentDescription]: element('LO', 'Marked for follow-up'),
    [tags.PresentationCreationDate]: element('DA', '20261101'),
    [tags.PresentationCreationTime]: element('TM', '120000'),
    [tags.ContentCreatorName]: element('PN', { Alphabetic: 'Reader^Rita' }),
    [tags.ReferencedSeriesSequence]: element('SQ', {
      [tags.SeriesInstanceUID]: element('UI', uidOf(tags.SeriesInstanceUID)),
      [tags.ReferencedImageSequence]: element('SQ', reference),
    }),
    [tags.GraphicAnnotationSequence]: element('SQ', {
      [tags.ReferencedImageSequence]: element('SQ', reference),
      [tags.GraphicLayer]: element('CS', 'LAYER1'),
      [tags.TextObjectSequence]: element('SQ', {
        [tags.AnchorPointAnnotationUnits]: element('CS', 'PIXEL'),
        [tags.UnformattedTextValue]: element('ST', 'nodule 6 mm'),
        [tags.AnchorPoint]: element('FL', 96, 110),
        [tags.AnchorPointVisibility]: element('CS', 'Y'),
      }),
    }),
    [tags.DisplayedAreaSelectionSequence]: element('SQ', {
      [tags.ReferencedImageSequence]: element('SQ', reference),
      [tags.DisplayedAreaTopLeftHandCorner]: element('SL', 1, 1),
      [tags.DisplayedAreaBottomRightHandCorner]: element('SL', ...extent),
      [tags.PresentationSizeMode]: element('CS', 'SCALE TO FIT'),
      [tags.PresentationPixelAspectRatio]: element('IS', 1, 1),
    }),
    [tags.GraphicLayerSequence]: element('SQ', {
      [tags.GraphicLayer]: element('CS', 'LAYER1'),
      [tags.GraphicLayerOrder]: element('IS', 1),
    }),
    [tags.PresentationLUTShape]: element('CS', 'IDENTITY'),
  });
}

function commonAttributes(
  options: SyntheticStudyOptions,
  sopClassUid: string,
  sopInstanceUid: string,
): DataSetJson {
  const { patient } = options;
  return {
    [tags.SOPClassUID]: element('UI', sopClassUid),
    [tags.SOPInstanceUID]: element('UI', sopInstanceUid),
    [tags.StudyInstanceUID]: element('UI', uidFrom(options.seed, 'study')),
    [tags.StudyDate]: element('DA', options.studyDate),
    [tags.SeriesDate]: element('DA', options.studyDate),
    [tags.ContentDate]: element('DA', options.studyDate),
    [tags.StudyTime]: element('TM', '101500'),
    [tags.SeriesTime]: element('TM', '101600'),
    [tags.ContentTime]: element('TM', '101700'),
    [tags.StudyDescription]: element('LO', options.description),
    [tags.StudyID]: element('SH', '1'),
    [tags.AccessionNumber]: element('SH', options.accessionNumber ?? ''),
    [tags.Manufacturer]: element('LO', 'Isthmus Phantoms'),
    [tags.InstitutionName]: element('LO', options.institution ?? 'Phantom Hospital'),
    [tags.ReferringPhysicianName]: element('PN', { Alphabetic: 'Referrer^Rory' }),
    [tags.BodyPartExamined]: element('CS', options.bodyPart ?? 'CHEST'),
    [tags.PatientName]: element('PN', { Alphabetic: patient.name }),
    [tags.PatientID]: element('LO', patient.id),
    ...(patient.issuer === undefined ? {} : { [tags.IssuerOfPatientID]: element('LO', patient.issuer) }),
    [tags.PatientBirthDate]: element('DA', patient.birthDate),
    [tags.PatientSex]: element('CS', patient.sex),
  };
}

function geometry(
  modality: 'CT' | 'MR' | 'CR',
  seed: string,
  index: number,
  count: number,
  size: number,
): DataSetJson {
  if (modality === 'CR') return { [tags.ViewPosition]: element('CS', 'PA') };
  const spacing = 360 / size;
  return {
    [tags.SliceThickness]: element('DS', 5),
    [tags.PixelSpacing]: element('DS', spacing, spacing),
    [tags.ImagePositionPatient]: element('DS', -180, -180, (index - count / 2) * 5),
    [tags.ImageOrientationPatient]: element('DS', 1, 0, 0, 0, 1, 0),
    [tags.FrameOfReferenceUID]: element('UI', uidFrom(seed, 'frame')),
    ...(modality === 'CT'
      ? {
          [tags.KVP]: element('DS', 120),
          [tags.RescaleIntercept]: element('DS', -1024),
          [tags.RescaleSlope]: element('DS', 1),
        }
      : {
          [tags.ScanningSequence]: element('CS', 'SE'),
          [tags.SequenceVariant]: element('CS', 'NONE'),
          [tags.ScanOptions]: element('CS', 'PER'),
          [tags.MRAcquisitionType]: element('CS', '2D'),
        }),
  };
}

function pixelModule(modality: 'CT' | 'MR' | 'CR', size: number): DataSetJson {
  const window = { CT: [40, 400], MR: [900, 1800], CR: [2048, 4096] }[modality];
  return {
    [tags.SamplesPerPixel]: element('US', 1),
    [tags.PhotometricInterpretation]: element('CS', 'MONOCHROME2'),
    [tags.Rows]: element('US', size),
    [tags.Columns]: element('US', size),
    [tags.BitsAllocated]: element('US', 16),
    [tags.BitsStored]: element('US', 12),
    [tags.HighBit]: element('US', 11),
    [tags.PixelRepresentation]: element('US', 0),
    [tags.WindowCenter]: element('DS', window[0]!),
    [tags.WindowWidth]: element('DS', window[1]!),
  };
}

/** Encodes the data set; Pixel Data (7FE0,0010) is put behind by hand, since it sorts last and needs no JSON. */
function finished(attributes: DataSetJson, pixels?: Buffer): SyntheticInstance {
  const head = encodeDataSet(attributes, uids.ExplicitVrLittleEndian);
  const dataSet = pixels ? Buffer.concat([head, pixelElementHeader(pixels.length), pixels]) : head;
  const uidOf = (tag: string): string => String(attributes[tag]?.Value?.[0]);
  const identity = {
    sopClassUid: uidOf(tags.SOPClassUID),
    sopInstanceUid: uidOf(tags.SOPInstanceUID),
    transferSyntaxUid: uids.ExplicitVrLittleEndian,
  };
  return {
    ...identity,
    studyInstanceUid: uidOf(tags.StudyInstanceUID),
    seriesInstanceUid: uidOf(tags.SeriesInstanceUID),
    dataSet,
    file: Buffer.concat([fileMetaInformation({ ...identity, sourceAeTitle: 'PHANTOM' }), dataSet]),
  };
}

function pixelElementHeader(length: number): Buffer {
  const header = Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x57, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(length, 8);
  return header;
}
