"""Tables of name and address parts; they refer to no real person."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMALE_NAMES = _words(
    """
    Ada Agnes Alice Alma Amara Amelia Ana Angela Anita Anna Aria Astrid Audrey Beatriz Bella
    Bonnie Brenda Camila Carla Carmen Celia Chloe Clara Dahlia Daisy Dana Delia Diana Dolores
    Edith Elena Elise Ella Emma Erin Esther Eva Faith Fatima Fiona Flora Freya Gemma Gloria
    Grace Hana Hannah Hazel Helen Ida Imani Ingrid Irene Iris Isabel Ivy Jade Janet Jasmine Joan
    Josie Joy Judith Julia June Karen Katya Keiko Laila Lara Laura Leah Leona Lila Linda Lois
    Lucia Luz Lydia Mabel Magda Mara Margot Maria Marta Maya Mei Mina Miriam Molly Mona Nadia
    Naomi Nina Noor Nora Olga Olive Paula Pearl Petra Phoebe Priya Quinn Rachel Rita Rosa Ruby
    Ruth Sara Selma Sofia Stella Tamar Teresa Thea Una Valeria Vera Viola Wanda Willa Yara Yuki
    Zelda Zoe
    """
)

MALE_NAMES = _words(
    """
    Aaron Adam Ahmed Alan Albert Alec Amir Andre Anton Arlo Arthur August Axel Basil Ben Boris
    Bruno Caleb Carlos Carl Casper Cedric Clark Cyrus Damon Daniel Darius David Dean Dennis
    Diego Dominic Earl Eddie Edgar Eli Elias Emil Enzo Eric Ernest Ethan Felix Floyd Frank Franz
    Fred Gabriel Gavin George Gil Glen Grant Gus Hal Harold Harvey Hassan Hector Henry Hugo Ian
    Igor Isaac Ivan Jack Jacob Jamal James Jan Javier Jerome Jin Joel John Jonas Jorge Jude
    Julian Karl Keith Kenji Kurt Lars Leo Leon Levi Liam Lionel Louis Luca Luis Malik Marco Mark
    Martin Mateo Max Miles Milo Morris Nathan Neil Nico Noah Oliver Omar Oscar Otto Owen Pablo
    Paul Pedro Peter Ralph Ravi Ray Reza Roland Rowan Samuel Saul Simon Stefan Theo Tomas Victor
    Vincent Walter Wes Xavier Yusuf Zane
    """
)

SURNAMES = _words(
    """
    Abbott Acker Adler Alder Ames Archer Arden Ashby Atwood Bailey Banks Barlow Barrow Bauer
    Beck Bell Bennett Berg Birch Bishop Blake Bolton Booker Bowman Brandt Briggs Brook Burke
    Byrd Calder Carver Castillo Chandler Chen Choi Cole Conway Cooper Cortez Crane Cross Cruz
    Dalton Darby Dawson Delgado Diaz Dixon Drake Duarte Dunn Eaton Ellis Emery Engel Espino
    Evans Falk Farmer Ferris Fields Finch Fisher Flores Foley Forrest Foster Fox Frost Fuentes
    Fuller Gage Garner Garza Gibbs Glover Goode Graves Greer Griffin Grove Guerra Hale Hardy
    Harper Hart Hayes Heath Herrera Hicks Holt Hooper Howe Hudson Hurst Ibarra Ingram Irwin Jain
    Jarvis Jensen Joyce Juarez Keller Kemp Khan Kim Kirby Knox Koch Kumar Lake Lang Larkin Leal
    Lemke Lopez Lowe Lund Lyons Mack Marsh Mason Maxwell Meadows Mejia Mercer Meyer Miller
    Monroe Moody Mora Moss Munoz Nash Navarro Newell Nguyen Nolan North Oakes Obrien Ochoa Olsen
    Ortega Osborne Pace Palmer Park Patel Payne Pena Perry Pike Porter Pruitt Quigley Quintero
    Ramos Reed Reyes Rhodes Rivera Robbins Rojas Rosen Rowe Rubin Salas Sanders Santos Sawyer
    Schmidt Sellers Sharp Shaw Silva Singh Slater Soto Stark Steele Stone Suarez Swan Tanaka
    Tate Thorne Torres Tran Tucker Turner Underhill Vance Vargas Vaughn Vega Vogel Wade Walsh
    Ward Watts Weaver Webb West Whitaker Wilder Winters Wolfe Wong Woods Wyatt Yates York Young
    Zamora Zeller Ziegler
    """
)

_STREET_NAMES = _words(
    """
    Alder Ash Aspen Bayview Birch Bluff Bridge Cedar Chapel Cherry Chestnut Church Clay College
    Court Creek Cypress Depot Dogwood Elm Fairview Farm Ferry Forest Garden Grant Harbor Hickory
    High Hill Juniper Lake Laurel Library Lincoln Locust Magnolia Main Maple Market Meadow Mill
    Oak Orchard Park Pearl Pine Pleasant Poplar Prospect Quarry Railroad Ridge River School
    Spring Spruce Summit Sycamore Union Valley Walnut Washington Willow
    """
)

STREETS = tuple(
    f"{name} {kind}" for name in _STREET_NAMES for kind in ("Street", "Avenue", "Road", "Lane")
)

_CITY_BEGINNINGS = _words(
    """
    Ash Bay Beaver Birch Blue Briar Bright Brook Cedar Clear Cliff Copper Deer Eagle East Elk
    Fair Falcon Fern Fox Glen Gold Granite Green Harvest Hazel High Iron Lake Laurel Linden
    Maple Marble Meadow Mill North Oak Otter Pine Plain Prairie Quail Red River Rock Rose Salt
    Sand Silver South Spring Stone Sun Swan Thorn Timber Twin Walnut West White Wild Willow Wind
    Wolf
    """
)

CITIES = tuple(
    beginning + ending
    for beginning in _CITY_BEGINNINGS
    for ending in ("dale", "field", "ford", " Falls", "haven", " Heights", " Springs", "ton")
)
