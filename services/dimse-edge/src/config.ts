import { choice, flag, integer, serviceSettings, text } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of dimse-edge: the only reader of the environment is `main.ts`, through this schema. */
export const dimseEdgeConfig = {
  ...serviceSettings,
  AE_TITLE: text({
    pattern: /^(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )$/,
    about: 'AE title that this cluster answers to and calls with',
  }),
  DICOM_HOST: text({ default: '127.0.0.1', about: 'Address that the DICOM port listens on' }),
  DICOM_PORT: integer({
    default: 11112,
    min: 0,
    max: 65535,
    about: 'Port that associations come in on; 0 takes a free one',
  }),
  DICOM_REUSE_PORT: flag({
    default: false,
    about:
      'Other processes of this edge may listen on the DICOM port too; the kernel (Linux) deals out connections',
  }),
  DICOM_TLS_PORT: integer({
    default: 2762,
    min: 0,
    max: 65535,
    about: 'Port that associations come in on by TLS, when the three files are set; 0 takes a free one',
  }),
  DICOM_TLS_KEY_FILE: text({ optional: true, about: 'Key of this cluster for DICOM over TLS, PEM' }),
  DICOM_TLS_CERTIFICATE_FILE: text({
    optional: true,
    about: 'Its certificate, and the chain behind it, PEM; a new file is used without a restart',
  }),
  DICOM_TLS_AUTHORITIES_FILE: text({
    optional: true,
    about: 'Certificates of the authorities (or of single peers) whose certificates are believed, PEM',
  }),
  DICOM_TLS_CLIENT_CERTIFICATE: choice(['required', 'none'], {
    default: 'required',
    about: 'Whether who comes by TLS must have a certificate',
  }),
  DICOM_TLS_RELOAD_EVERY_MS: integer({
    default: 10_000,
    min: 20,
    max: 3_600_000,
    unit: 'ms',
    about: 'Time between two looks at the three files',
  }),
  OBJECT_STORE: text({ about: 'Directory that the objects are kept in; made when it is missing' }),
  OBJECT_STORE_FREE_MIN_MIB: integer({
    default: 64,
    min: 0,
    max: 1_048_576,
    unit: 'MiB',
    about: 'C-STORE is refused with A700 when less than this is free on the disk',
  }),
  ADMISSION: choice(['open-loopback', 'stations'], {
    default: 'stations',
    about: 'Who may open associations: known stations, or also unknown AE titles on this machine',
  }),
  FSYNC: choice(['always', 'group', 'none'], {
    default: 'group',
    about: 'Whether an object is forced to the disk before C-STORE is answered; none survives no power loss',
  }),
  ASSOCIATIONS_MAX: integer({
    default: 200,
    min: 1,
    max: 5000,
    about: 'Associations from peers that are open at once',
  }),
  ASSOCIATIONS_PER_ADDRESS_MAX: integer({
    default: 150,
    min: 1,
    max: 5000,
    about: 'Of these, from one network address: that of a station, a gateway, or a NAT in front of many',
  }),
  ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX: integer({
    default: 50,
    min: 1,
    max: 5000,
    about: 'Of those, from peers that are not (or not yet) known to be a configured station',
  }),
  ASSOCIATIONS_PER_AE_TITLE_MAX: integer({
    default: 64,
    min: 1,
    max: 5000,
    about: 'Associations of one calling AE title that are open at once',
  }),
  FIRST_PDU_TIMEOUT_MS: integer({
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    about:
      'From the connection of a peer to the last byte of its A-ASSOCIATE-RQ; as much for a TLS handshake before it',
  }),
  ASSOCIATION_IDLE_TIMEOUT_MS: integer({
    default: 60_000,
    min: 100,
    max: 86_400_000,
    unit: 'ms',
    about: 'How long an association of a peer may be open without a message',
  }),
  BETWEEN_PDUS_TIMEOUT_MS: integer({
    default: 60_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    about: 'Longest pause inside a message of a peer, and time for one PDU to arrive whole',
  }),
  MESSAGE_TIMEOUT_MS: integer({
    default: 3_600_000,
    min: 1_000,
    max: 86_400_000,
    unit: 'ms',
    about: 'Longest time for one message of a peer, such as one object; time in which it waits for us aside',
  }),
  MESSAGE_BYTES_PER_SECOND_MIN: integer({
    default: 512,
    min: 1,
    max: 1_073_741_824,
    unit: 'bytes/s',
    about: 'A message of a peer that comes more slowly is given up, as measured over 30 s',
  }),
  QUERY_TIMEOUT_MS: integer({
    default: 15_000,
    min: 500,
    max: 300_000,
    unit: 'ms',
    about: 'Longest time that a C-FIND from a peer takes',
  }),
  MOVE_TIMEOUT_MS: integer({
    default: 3_600_000,
    min: 1_000,
    max: 86_400_000,
    unit: 'ms',
    about: 'Longest time that a C-MOVE takes, pulls from other clusters included',
  }),
  RETRIEVES_MAX: integer({
    default: 4,
    min: 1,
    max: 64,
    about: 'Studies that are pulled from peers at once; others wait',
  }),
  RETRIEVES_WAITING_MAX: integer({
    default: 1_000,
    min: 1,
    max: 100_000,
    about: 'Retrieves that wait for their turn; more are refused',
  }),
  RETRIEVE_JOBS_MAX: integer({
    default: 1_000,
    min: 1,
    max: 100_000,
    about: 'Retrieve jobs that are remembered; the oldest finished one makes room',
  }),
  SENDING_MAX: integer({
    default: 8,
    min: 1,
    max: 128,
    about: 'Associations to move destinations that are open at once; others wait',
  }),
  ASSOCIATIONS_PER_DESTINATION: integer({
    default: 4,
    min: 1,
    max: 16,
    about:
      'Of those, to one destination, if it grants them; a station can have its own number (associationsMax)',
  }),
  OPERATIONS_INVOKED_MAX: integer({
    default: 8,
    min: 1,
    max: 64,
    about:
      'C-STORE under way at once on one association to a destination that grants an asynchronous operations window; 1 asks for none',
  }),
  COMPARISONS_MAX: integer({
    default: 2,
    min: 1,
    max: 64,
    about: 'Objects that came again with other bytes and are compared by content at once; others wait',
  }),
  COMPARISONS_WAITING_MAX: integer({
    default: 50,
    min: 0,
    max: 5000,
    about: 'Of those, that wait for their turn; more are kept as conflicts without a comparison',
  }),
  COMPARISON_TIMEOUT_MS: integer({
    default: 20_000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    about: 'Longest time of one such comparison, its wait included; then the object is kept as a conflict',
  }),
  COMMITMENT_SAME_ASSOCIATION_MS: integer({
    default: 1_000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    about:
      'A peer that keeps its association open so long after N-ACTION gets the storage commitment report on it; 0: always on a new one',
  }),
  COMMITMENT_TRIES_MAX: integer({
    default: 200,
    min: 1,
    max: 10_000,
    about: 'Times that a storage commitment report is sent before it is given up, restarts aside',
  }),
  COMMITMENT_PAUSE_MAX_MS: integer({
    default: 600_000,
    min: 10,
    max: 86_400_000,
    unit: 'ms',
    about: 'Longest pause between two of them',
  }),
  COMMITMENTS_PENDING_MAX: integer({
    default: 1_000,
    min: 1,
    max: 100_000,
    about: 'Requests for storage commitment that wait to be reported on; more are refused with 0213',
  }),
  TRANSCODE_MIB_MAX: integer({
    default: 512,
    min: 1,
    max: 2_048,
    unit: 'MiB',
    about: 'A larger object is not converted for a station with transcodeTo: it fails',
  }),
  TRANSCODE_TIMEOUT_MS: integer({
    default: 60_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    about: 'Longest time that the conversion of one object takes',
  }),
  STOP_GRACE_MS: integer({
    default: 20_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    about: 'How long operations under way may take to end when the service stops',
  }),
} as const;

export type DimseEdgeConfig = ConfigOf<typeof dimseEdgeConfig>;
