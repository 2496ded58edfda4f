"""One call of an API, one INSERT with its commit, and one record with its flush, for each voter."""

import argparse
import json
import time

import psycopg
import requests
from confluent_kafka import Producer

from peers.program import Stopwatch, parse_options, write_result

_COLUMNS = (
    "voter_id, voter_name, date_of_birth, gender, nationality, registration_number, address_street,"
    " address_city, address_state, address_country, address_postcode, email, phone_number, picture,"
    " registered_age"
)


def fetch_voter(api_url: str) -> dict[str, object]:
    """Return a voter whom the API invents."""
    response = requests.get(api_url, timeout=30)
    response.raise_for_status()
    person = response.json()["results"][0]
    place = person["location"]
    return {
        "voter_id": person["login"]["uuid"],
        "voter_name": f"{person['name']['first']} {person['name']['last']}",
        "date_of_birth": person["dob"]["date"],
        "gender": person["gender"],
        "nationality": person["nat"],
        "registration_number": person["login"]["uuid"][:20],
        "address_street": f"{place['street']['number']} {place['street']['name']}",
        "address_city": place["city"],
        "address_state": place["state"],
        "address_country": place["country"],
        "address_postcode": str(place["postcode"]),
        "email": person["email"],
        "phone_number": person["phone"],
        "picture": person["picture"]["large"],
        "registered_age": person["registered"]["age"],
    }


def main(options: argparse.Namespace) -> None:
    """Produce the expected number of voters."""
    producer = Producer({"bootstrap.servers": options.bootstrap_servers})
    stopwatch = Stopwatch()
    insert = (
        f"INSERT INTO one_by_one.voters ({_COLUMNS}) VALUES ({', '.join(['%s'] * 15)})".encode()
    )
    with psycopg.connect(options.database_url) as conn, conn.cursor() as cursor:
        stopwatch.start()
        for _ in range(options.expected):
            voter = fetch_voter(options.api_url)
            cursor.execute(insert, tuple(voter.values()))
            conn.commit()
            producer.produce(options.output, json.dumps(voter), str(voter["voter_id"]))
            producer.flush()
        ended_at = time.time()
        counted = len(producer)
        assert counted == 0, f"{counted} records were not delivered"
    write_result(
        options.result,
        counted=options.expected,
        started_at=stopwatch.started_at,
        ended_at=ended_at,
    )


if __name__ == "__main__":
    main(parse_options(__doc__))
