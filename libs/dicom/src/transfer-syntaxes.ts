/** How a transfer syntax writes a data set. Pixel data inside may be encapsulated; that is `encapsulated`. */
export interface TransferSyntax {
  readonly uid: string;
  readonly name: string;
  readonly explicitVr: boolean;
  readonly littleEndian: boolean;
  readonly deflated: boolean;
  readonly encapsulated: boolean;
}

const encapsulated: readonly (readonly [string, string])[] = [
  ['4.50', 'JPEG Baseline (Process 1)'],
  ['4.51', 'JPEG Extended (Process 2 and 4)'],
  ['4.52', 'JPEG Extended (Process 3 and 5) (retired)'],
  ['4.53', 'JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8) (retired)'],
  ['4.54', 'JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9) (retired)'],
  ['4.55', 'JPEG Full Progression, Non-Hierarchical (Process 10 and 12) (retired)'],
  ['4.56', 'JPEG Full Progression, Non-Hierarchical (Process 11 and 13) (retired)'],
  ['4.57', 'JPEG Lossless, Non-Hierarchical (Process 14)'],
  ['4.58', 'JPEG Lossless, Non-Hierarchical (Process 15) (retired)'],
  ['4.59', 'JPEG Extended, Hierarchical (Process 16 and 18) (retired)'],
  ['4.60', 'JPEG Extended, Hierarchical (Process 17 and 19) (retired)'],
  ['4.61', 'JPEG Spectral Selection, Hierarchical (Process 20 and 22) (retired)'],
  ['4.62', 'JPEG Spectral Selection, Hierarchical (Process 21 and 23) (retired)'],
  ['4.63', 'JPEG Full Progression, Hierarchical (Process 24 and 26) (retired)'],
  ['4.64', 'JPEG Full Progression, Hierarchical (Process 25 and 27) (retired)'],
  ['4.65', 'JPEG Lossless, Hierarchical (Process 28) (retired)'],
  ['4.66', 'JPEG Lossless, Hierarchical (Process 29) (retired)'],
  ['4.70', 'JPEG Lossless, Non-Hierarchical, First-Order Prediction'],
  ['4.80', 'JPEG-LS Lossless'],
  ['4.81', 'JPEG-LS Lossy (Near-Lossless)'],
  ['4.90', 'JPEG 2000 (Lossless Only)'],
  ['4.91', 'JPEG 2000'],
  ['4.92', 'JPEG 2000 Part 2 Multi-component (Lossless Only)'],
  ['4.93', 'JPEG 2000 Part 2 Multi-component'],
  ['4.94', 'JPIP Referenced'],
  ['4.100', 'MPEG2 Main Profile / Main Level'],
  ['4.100.1', 'Fragmentable MPEG2 Main Profile / Main Level'],
  ['4.101', 'MPEG2 Main Profile / High Level'],
  ['4.101.1', 'Fragmentable MPEG2 Main Profile / High Level'],
  ['4.102', 'MPEG-4 AVC/H.264 High Profile / Level 4.1'],
  ['4.102.1', 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1'],
  ['4.103', 'MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1'],
  ['4.103.1', 'Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1'],
  ['4.104', 'MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video'],
  ['4.104.1', 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video'],
  ['4.105', 'MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video'],
  ['4.105.1', 'Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video'],
  ['4.106', 'MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2'],
  ['4.106.1', 'Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2'],
  ['4.107', 'HEVC/H.265 Main Profile / Level 5.1'],
  ['4.108', 'HEVC/H.265 Main 10 Profile / Level 5.1'],
  ['4.110', 'JPEG XL Lossless'],
  ['4.111', 'JPEG XL JPEG Recompression'],
  ['4.112', 'JPEG XL'],
  ['4.201', 'High-Throughput JPEG 2000 (Lossless Only)'],
  ['4.202', 'High-Throughput JPEG 2000 with RPCL Options (Lossless Only)'],
  ['4.203', 'High-Throughput JPEG 2000'],
  ['4.204', 'JPIP HTJ2K Referenced'],
  ['5', 'RLE Lossless'],
  ['8.1', 'Deflated Image Frame Compression'],
];

const common = '1.2.840.10008.1.2';
const explicitLittle = { explicitVr: true, littleEndian: true, deflated: false };

const table: readonly TransferSyntax[] = [
  {
    ...explicitLittle,
    explicitVr: false,
    uid: common,
    name: 'Implicit VR Little Endian',
    encapsulated: false,
  },
  { ...explicitLittle, uid: `${common}.1`, name: 'Explicit VR Little Endian', encapsulated: false },
  {
    ...explicitLittle,
    deflated: true,
    uid: `${common}.1.99`,
    name: 'Deflated Explicit VR Little Endian',
    encapsulated: false,
  },
  {
    ...explicitLittle,
    littleEndian: false,
    uid: `${common}.2`,
    name: 'Explicit VR Big Endian (retired)',
    encapsulated: false,
  },
  ...encapsulated.map(([suffix, name]) => ({
    ...explicitLittle,
    uid: `${common}.${suffix}`,
    name,
    encapsulated: true,
  })),
  {
    ...explicitLittle,
    deflated: true,
    uid: `${common}.4.95`,
    name: 'JPIP Referenced Deflate',
    encapsulated: true,
  },
  {
    ...explicitLittle,
    deflated: true,
    uid: `${common}.4.205`,
    name: 'JPIP HTJ2K Referenced Deflate',
    encapsulated: true,
  },
];

const byUid = new Map(table.map((syntax) => [syntax.uid, syntax]));

/** Transfer syntaxes of PS3.6, UID to name. */
export const transferSyntaxes: ReadonlyMap<string, string> = new Map(
  table.map(({ uid, name }) => [uid, name]),
);

/** How the bytes of a data set in this syntax are laid out; undefined when the UID is not one of PS3.6. */
export function transferSyntaxOf(uid: string): TransferSyntax | undefined {
  return byUid.get(uid);
}
