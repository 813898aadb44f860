import { eventually, requestJson } from '@isthmus/testing';
import type { TestEdge } from './start-edge.ts';

/** The parts of a retrieve job that tests look at. */
export interface JobBody {
  readonly state: string;
  readonly done: number;
  readonly detail?: string;
}

/** A job of an edge, by the path in its `Location`, once it has ended. */
export function jobAtEnd({ edge }: TestEdge, location: string): Promise<JobBody> {
  return eventually('the job has ended', async () => {
    const { body } = await requestJson<JobBody>('GET', `${edge.address}${location}`);
    return body.state !== 'RUNNING' && body;
  });
}
