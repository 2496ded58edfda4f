-- What this database and its Kafka cluster have in common; the topic `voting_election` has the same.
CREATE TABLE election (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    election_id    text NOT NULL CHECK (election_id <> ''),
    mode           text NOT NULL CHECK (mode IN ('live', 'rehearsal')),
    name           text NOT NULL CHECK (name <> ''),
    began_at       timestamptz NOT NULL,
    voting_age     integer NOT NULL,
    polls_open     timestamptz,
    polls_close    timestamptz,
    draw_seed      text NOT NULL,
    draw_weights   jsonb NOT NULL,
    topic_ids      jsonb NOT NULL,
    -- The group of the consumers: a second group would publish every decision a second time.
    consumer_group text
);

-- Evidence that something other than the services wrote to the topics. It outlives the compaction
-- of the topics, so nothing may change or delete it.
CREATE TABLE incidents (
    incident_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detected_at timestamptz NOT NULL DEFAULT now(),
    kind        text NOT NULL CHECK (kind <> ''),
    subject     text NOT NULL,
    detail      text NOT NULL
);

CREATE TABLE incident_resolutions (
    incident_id bigint PRIMARY KEY REFERENCES incidents,
    resolved_at timestamptz NOT NULL DEFAULT now(),
    note        text NOT NULL CHECK (note <> '')
);

CREATE FUNCTION forbid_evidence_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only: % is not allowed', TG_TABLE_NAME, TG_OP;
END
$$;

CREATE TRIGGER incidents_are_final
    BEFORE UPDATE OR DELETE OR TRUNCATE ON incidents
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_evidence_change();

CREATE TRIGGER incident_resolutions_are_final
    BEFORE UPDATE OR DELETE OR TRUNCATE ON incident_resolutions
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_evidence_change();
