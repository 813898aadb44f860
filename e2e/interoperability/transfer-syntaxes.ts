/** A transfer syntax, and the options by which DCMTK's tools propose it (storescu) or prefer it (getscu). */
export interface Proposal {
  readonly name: string;
  readonly uid: string;
  readonly storescu: string;
  /** Absent where the tool cannot prefer it. */
  readonly getscu?: string;
}

/** What DCMTK can propose: the uncompressed ones. */
export const uncompressed: readonly Proposal[] = [
  { name: 'Implicit VR Little Endian', uid: '1.2.840.10008.1.2', storescu: '-xi' },
  { name: 'Explicit VR Little Endian', uid: '1.2.840.10008.1.2.1', storescu: '-xe', getscu: '+xe' },
  { name: 'Explicit VR Big Endian', uid: '1.2.840.10008.1.2.2', storescu: '-xb', getscu: '+xb' },
  { name: 'Deflated Explicit VR', uid: '1.2.840.10008.1.2.1.99', storescu: '-xd', getscu: '+xd' },
];

/** Those with images in fragments; with each of them it proposes the uncompressed ones besides. */
export const compressed: readonly Proposal[] = [
  { name: 'JPEG Baseline', uid: '1.2.840.10008.1.2.4.50', storescu: '-xy', getscu: '+xy' },
  { name: 'JPEG Extended', uid: '1.2.840.10008.1.2.4.51', storescu: '-xx', getscu: '+xx' },
  { name: 'JPEG Lossless SV1', uid: '1.2.840.10008.1.2.4.70', storescu: '-xs', getscu: '+xs' },
  { name: 'JPEG-LS Lossless', uid: '1.2.840.10008.1.2.4.80', storescu: '-xt', getscu: '+xt' },
  { name: 'JPEG-LS Near-lossless', uid: '1.2.840.10008.1.2.4.81', storescu: '-xu', getscu: '+xu' },
  { name: 'JPEG 2000 Lossless', uid: '1.2.840.10008.1.2.4.90', storescu: '-xv', getscu: '+xv' },
  { name: 'JPEG 2000', uid: '1.2.840.10008.1.2.4.91', storescu: '-xw', getscu: '+xw' },
  { name: 'RLE Lossless', uid: '1.2.840.10008.1.2.5', storescu: '-xr', getscu: '+xr' },
];

/** Those that it proposes alone. */
export const video: readonly Proposal[] = [
  { name: 'MPEG2 Main Profile', uid: '1.2.840.10008.1.2.4.100', storescu: '-xm', getscu: '+xm' },
  { name: 'MPEG2 High Level', uid: '1.2.840.10008.1.2.4.101', storescu: '-xh', getscu: '+xh' },
  { name: 'MPEG-4 High Profile', uid: '1.2.840.10008.1.2.4.102', storescu: '-xn', getscu: '+xn' },
  { name: 'MPEG-4 BD-compatible', uid: '1.2.840.10008.1.2.4.103', storescu: '-xl', getscu: '+xl' },
  { name: 'MPEG-4 4.2 2D', uid: '1.2.840.10008.1.2.4.104', storescu: '-x2', getscu: '+x2' },
  { name: 'MPEG-4 4.2 3D', uid: '1.2.840.10008.1.2.4.105', storescu: '-x3', getscu: '+x3' },
  { name: 'MPEG-4 Stereo', uid: '1.2.840.10008.1.2.4.106', storescu: '-xo', getscu: '+xo' },
  { name: 'HEVC Main', uid: '1.2.840.10008.1.2.4.107', storescu: '-x4', getscu: '+x4' },
  { name: 'HEVC Main 10', uid: '1.2.840.10008.1.2.4.108', storescu: '-x5', getscu: '+x5' },
];

export const proposals: readonly Proposal[] = [...uncompressed, ...compressed, ...video];
