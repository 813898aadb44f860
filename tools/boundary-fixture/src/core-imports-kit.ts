// A core library must not know a kit: lint has to refuse this line.
import { requestSubjects } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';

export const forbidden = [requestSubjects, connectEventLog];
