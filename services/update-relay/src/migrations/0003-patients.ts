import type { Migration } from '@isthmus/service-kit';
import { sql } from 'kysely';

/** A study can be known under more than one patient: its own, and those that its holders name. */
export const patients0003: Migration = {
  name: '0003-patients',
  async up(db) {
    await sql`alter table study_state add column patient_keys text[] not null default '{}'`.execute(db);
    await sql`update study_state set patient_keys = array[patient_key] where patient_key is not null`.execute(
      db,
    );
    await sql`alter table study_state drop column patient_key`.execute(db);
    await sql`create index study_state_patients on study_state using gin (patient_keys)`.execute(db);
  },
};
