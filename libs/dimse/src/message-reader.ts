import { decodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import { ProtocolError } from './errors.ts';
import type { DimseLimits } from './limits.ts';

/** Takes the data set of one message, fragment by fragment. */
export interface DataSetSink {
  push(slice: Buffer): void;
  /** All of it has come. */
  finish(): void;
}

/**
 * Puts messages together from presentation data values (PS3.8 Annex E): a command set, then its data set
 * where it has one, both on one presentation context. Throws ProtocolError on anything else.
 */
export class MessageReader {
  readonly #limits: DimseLimits;
  readonly #isAccepted: (contextId: number) => boolean;
  readonly #onCommand: (contextId: number, command: CommandSet) => void;
  readonly #command: ByteCollector;
  #stage: 'command' | 'command has begun' | 'data set' = 'command';
  #contextId = 0;
  #isCommand = false;
  #isLast = false;
  #sink: DataSetSink | undefined;

  /**
   * @param options.onCommand - A whole command set. When it says that a data set follows, `expectDataSet`
   *   must be called before the framer goes on.
   */
  constructor(options: {
    limits: DimseLimits;
    isAccepted: (contextId: number) => boolean;
    onCommand: (contextId: number, command: CommandSet) => void;
  }) {
    this.#limits = options.limits;
    this.#isAccepted = options.isAccepted;
    this.#onCommand = options.onCommand;
    this.#command = new ByteCollector(this.#limits.commandBytesMax, 'command set');
  }

  /** True from the first fragment of a message to the last. */
  get insideMessage(): boolean {
    return this.#stage !== 'command';
  }

  /** Where the data set of the command that was just given goes. */
  expectDataSet(sink: DataSetSink): void {
    this.#sink = sink;
  }

  pdvStart(contextId: number, isCommand: boolean, isLast: boolean): void {
    if (!this.#isAccepted(contextId))
      throw new ProtocolError(6, `presentation context ${contextId} is not accepted`);
    if (isCommand !== (this.#stage !== 'data set')) {
      throw new ProtocolError(
        2,
        isCommand ? 'command fragment inside a data set' : 'data fragment without a command',
      );
    }
    if (this.#stage !== 'command' && contextId !== this.#contextId) {
      throw new ProtocolError(6, `message goes over from context ${this.#contextId} to ${contextId}`);
    }
    if (this.#stage === 'command') this.#stage = 'command has begun';
    this.#contextId = contextId;
    this.#isCommand = isCommand;
    this.#isLast = isLast;
  }

  pdvData(slice: Buffer): void {
    if (this.#isCommand) this.#command.push(slice);
    else this.#dataSetSink().push(slice);
  }

  pdvEnd(): void {
    if (!this.#isLast) return;
    if (this.#isCommand) {
      const command = decodeCommandSet(this.#command.take());
      this.#stage = command.hasDataSet ? 'data set' : 'command';
      this.#onCommand(this.#contextId, command);
      return;
    }
    const sink = this.#dataSetSink();
    this.#sink = undefined;
    this.#stage = 'command';
    sink.finish();
  }

  #dataSetSink(): DataSetSink {
    if (this.#sink === undefined) throw new Error('no sink for the data set of this message');
    return this.#sink;
  }
}

const collectorBytesMin = 512;

/** Copies fragments into one growing buffer: many tiny fragments cost no more than one whole. */
export class ByteCollector {
  readonly #bytesMax: number;
  readonly #what: string;
  #bytes: Buffer | undefined;
  #length = 0;

  constructor(bytesMax: number, what: string) {
    this.#bytesMax = bytesMax;
    this.#what = what;
  }

  push(slice: Buffer): void {
    const length = this.#length + slice.length;
    if (length > this.#bytesMax)
      throw new ProtocolError(6, `${this.#what} is longer than ${this.#bytesMax} bytes`);
    if (this.#bytes === undefined || length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(collectorBytesMin, length, this.#length * 2));
      this.#bytes?.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    slice.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** What was collected; the collector is empty again. */
  take(): Buffer {
    const taken = this.#bytes?.subarray(0, this.#length) ?? Buffer.alloc(0);
    this.#bytes = undefined;
    this.#length = 0;
    return taken;
  }
}
