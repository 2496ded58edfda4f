"""The US states and the District of Columbia: the figures that plausible voters are drawn from."""

import attrs

COUNTRY = "United States"


@attrs.frozen
class State:
    """A state that voters live in.

    Attributes:
        name: Name, in the spelling of the source.
        country: Country; empty if it is not known.
        population: Inhabitants in thousands.
        turnout: Percentage of the registered voters that cast a ballot.
        zip_zones: First digits of its postcodes.
    """

    name: str
    country: str = ""
    population: int = 0
    turnout: int = 67
    zip_zones: str = "0123456789"


# Population: official figures of April 2020, in thousands. Turnout: percentage of those eligible in
# November 2020, approximate. Zone: first digit of the ZIP codes.
_TABLE = """
Alabama 5024 63 3|Alaska 733 69 9|Arizona 7152 66 8|Arkansas 3012 56 7|California 39538 68 9
Colorado 5774 76 8|Connecticut 3606 71 0|Delaware 990 71 1|District of Columbia 690 64 2
Florida 21538 72 3|Georgia 10712 68 3|Hawaii 1455 57 9|Idaho 1839 68 8|Illinois 12813 67 6
Indiana 6786 61 4|Iowa 3190 73 5|Kansas 2938 66 6|Kentucky 4506 65 4|Louisiana 4658 65 7
Maine 1362 76 0|Maryland 6177 71 2|Massachusetts 7030 72 0|Michigan 10077 74 4
Minnesota 5706 80 5|Mississippi 2961 60 3|Missouri 6155 66 6|Montana 1084 73 5|Nebraska 1962 70 6
Nevada 3105 65 8|New Hampshire 1378 75 0|New Jersey 9289 75 0|New Mexico 2118 61 8
New York 20201 63 1|North Carolina 10439 71 2|North Dakota 779 64 5|Ohio 11799 67 4
Oklahoma 3959 55 7|Oregon 4237 75 9|Pennsylvania 13003 71 1|Rhode Island 1097 66 0
South Carolina 5118 64 2|South Dakota 887 66 5|Tennessee 6911 60 3|Texas 29146 60 7|Utah 3272 69 8
Vermont 643 74 0|Virginia 8631 73 2|Washington 7705 76 9|West Virginia 1794 58 2
Wisconsin 5894 76 5|Wyoming 577 65 8
"""


def _read(line: str) -> State:
    name, population, turnout, zones = line.rsplit(" ", 3)
    return State(name, COUNTRY, int(population), int(turnout), zones)


STATES = tuple(_read(line) for line in _TABLE.strip().replace("\n", "|").split("|"))
_BY_NAME = {state.name.casefold(): state for state in STATES}


def find_state(name: str) -> State:
    """Return the state with its figures, if they are known, in the spelling given."""
    known = _BY_NAME.get(name.casefold())
    return attrs.evolve(known, name=name) if known else State(name)
