CREATE TABLE candidates (
    candidate_id       text PRIMARY KEY,
    candidate_name     text NOT NULL,
    party_affiliation  text NOT NULL DEFAULT '',
    biography          text NOT NULL DEFAULT '',
    campaign_platforms text NOT NULL DEFAULT '',
    photo_url          text NOT NULL DEFAULT ''
);

-- The aggregates carry the name and the party beside the id, so a change during the count would
-- split a candidate in two. To correct them, delete and add the candidate again, which the votes'
-- foreign key allows only before the first vote.
CREATE FUNCTION forbid_candidate_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the name and party of candidate % are fixed once registered',
        OLD.candidate_id;
END
$$;

CREATE TRIGGER candidate_is_fixed
    BEFORE UPDATE OF candidate_id, candidate_name, party_affiliation ON candidates
    FOR EACH ROW
    WHEN ((OLD.candidate_id, OLD.candidate_name, OLD.party_affiliation)
          IS DISTINCT FROM (NEW.candidate_id, NEW.candidate_name, NEW.party_affiliation))
    EXECUTE FUNCTION forbid_candidate_change();

CREATE TABLE voters (
    voter_id            text PRIMARY KEY,
    voter_name          text NOT NULL CHECK (voter_name <> ''),
    date_of_birth       date NOT NULL,
    gender              text NOT NULL CHECK (gender <> ''),
    nationality         text NOT NULL DEFAULT '',
    registration_number text NOT NULL DEFAULT '',
    address_street      text NOT NULL DEFAULT '',
    address_city        text NOT NULL DEFAULT '',
    address_state       text NOT NULL CHECK (address_state <> ''),
    address_country     text NOT NULL DEFAULT '',
    address_postcode    text NOT NULL DEFAULT '',
    email               text NOT NULL DEFAULT '',
    phone_number        text NOT NULL DEFAULT '',
    picture             text NOT NULL DEFAULT '',
    registered_age      integer
);

-- One row per voter: the primary key is the one-person-one-vote rule. State, gender and age are
-- the register's at the time of the decision, so that republishing repeats the decision.
CREATE TABLE votes (
    voter_id         text PRIMARY KEY REFERENCES voters,
    candidate_id     text NOT NULL REFERENCES candidates,
    voting_time      timestamptz NOT NULL,
    state            text NOT NULL,
    gender           text NOT NULL,
    age              integer NOT NULL,
    source_topic_id  text NOT NULL,
    source_partition integer NOT NULL,
    source_offset    bigint NOT NULL,
    UNIQUE (source_topic_id, source_partition, source_offset)
);

CREATE TABLE rejections (
    source_topic_id  text NOT NULL,
    source_partition integer NOT NULL,
    source_offset    bigint NOT NULL,
    voter_id         text,
    reason           text NOT NULL,
    detail           text NOT NULL,
    record_time      timestamptz NOT NULL,
    record_size      integer NOT NULL,
    record_sha256    bytea NOT NULL,
    record_head      bytea NOT NULL,
    PRIMARY KEY (source_topic_id, source_partition, source_offset)
);
