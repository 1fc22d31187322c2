"""Plain English words for seeded texts: common, short, and none that a secret rule looks for."""

from __future__ import annotations

_TEXT = """
about above across after again air almost along also always among animal another answer around
autumn back because before began begin being below between big bird book both bread bring brown
build busy call came carry change child city clear close cloud cold come corner could country
cover cross dark day deep did different door down draw during each early earth east easy enough
even evening every example eye face fall family far farm fast father feel few field find fire
first fish floor follow food foot forest form found four friend from front full garden gave give
glass good grass great green ground group grow half hand happy hard have hear heart heavy help
here high hill hold home horse hour house however hundred idea inside island just keep kind
kitchen know lake land large last late laugh learn leave left letter life light like line list
listen little live long look made make many mark market may mean measure might mile milk mind
minute moment money month moon more morning most mother mountain move much music must name near
never new next night noise north nothing notice now number ocean often old once only open order
other our outside over own page paint paper part party past path pattern people perhaps person
picture piece place plain plan plant play point poor power present press problem pull quick
quiet rain reach read ready real red rest rich right ring river road rock room round rule run
said same sand saw say school sea season second seem sentence serve seven several shape sharp
ship short should show side simple since sing sister sit six size sky sleep slow small snow soft
some song soon sound south space speak spring stand star start state stay step still stone stop
story street strong study such summer sun surface table take talk tall teach tell ten than that
their them then there these they thing think third those thought three through time together too
took top toward town travel tree true try turn two under until use usual valley very village
visit voice wait walk wall want warm watch water way weather week well went were west what wheel
when where which while white whole why wide wind window winter wish with without wood word work
world would write year yellow yesterday young
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())
