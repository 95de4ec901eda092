"""The passwords that are tried first: everyday words however they are decorated, keyboard runs, repetitions, dates."""

import re

TRIED_FIRST = """
abcd abcdef access account action adidas admin administrator albert alexander alexis alpha amanda america anderson
andrea andrew angel angela animal anthony apollo apple april arsenal asdf asdfgh ashley athena august austin autumn
babygirl badboy bailey banana bandit barcelona barney baseball basketball batman beaver benjamin berlin bigdaddy
birthday blahblah blink bonnie boomer boston brandon brandy braves brazil brooklyn brother bubbles buddy bulldog
buster butter butterfly camaro cameron canada captain carlos caroline casper changeme charles charlie cheese chelsea
cherry chester chicago chicken chocolate christ christian christopher coffee compaq computer cookie cooper corvette
cowboy cowboys crystal daddy dakota dallas daniel danielle database david december default demo dennis destiny
dexter diablo diamond doctor dolphin dolphins donald dragon drowssap eagle eagles edward einstein elephant elizabeth
eminem enter falcon family february ferrari fishing flower fluffy football forever france freedom friday friend
friends fuckme fuckyou gandalf gateway genesis george gfhjkm ginger google golden golfer goodluck guest guitar hallo
hammer hannah happy hardcore harley harry heather heaven hello helpme hockey hottie hunter iceman iloveu iloveyou
india internet isabella jackson jaguar january jasmine jasper jennifer jeremy jessica jesus johnny jonathan jordan
joseph joshua julian july junior justin keyboard killer king kitten knight lakers lauren letmein liberty liverpool
loading london lovely loveme lover lucky maggie manager manchester march marina marlboro martin master matrix
matthew maverick maximus mercedes merlin metallica michael michelle mickey midnight monday monica monkey monster
morgan mother mountain mustang mylove nascar natasha naruto newyork nicholas nicole nirvana nothing november october
oliver orange pantera panther paradise parola pass passport passw password password passwort patricia patrick peanut
pepper phoenix player please pokemon police porsche power prince princess private purple qazwsx qwer qwert qwerty
qwertyu qwertyuiop rabbit rachel rainbow ranger rangers rebecca richard robert rocket root rosebud runner samantha
samsung samuel sandra saturn scooter scorpion scott secret secure security september server shadow shannon silver
simple single skippy slipknot smokey snoopy soccer sophie spanky sparky spider spiderman spring stalker starwars
stella stephanie steven steward success summer sunday sunflower sunshine superman superstar support suzuki sweety
swordfish sysadmin system taylor teacher temp temporary tennis test tester testing thomas thunder tiger tigger
tinker toor trinity trustno turtle unknown user vampire vanessa victor victoria viking vincent warrior welcome
whatever whoami william willow winner winston winter wizard xavier yamaha yankees yellow zaq12wsx zxcvbn zxcvbnm
"""
WORDS = frozenset(TRIED_FIRST.split())
RUNS = tuple(
    direction
    for run in (
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890123456789",
        "qwertyuiopasdfghjklzxcvbnm",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
        "qazwsxedcrfvtgbyhnujmikolp",
        "1q2w3e4r5t6y7u8i9o0p",
        "q1w2e3r4t5y6u7i8o9p0",
        "azertyuiopqsdfghjklm",
    )
    for direction in (run, run[::-1])
)
DISGUISES = str.maketrans("0134578@$!", "oleastbasi")
DECORATION = re.compile(r"^[\W\d_]+|[\W\d_]+$")
REPETITION = re.compile(r"(.{1,5}?)\1+.{0,3}")
LONGEST_DATE = 10


def is_common(password: str) -> bool:
    """Say whether a password is among the first that anybody would try."""
    folded = password.casefold()
    if REPETITION.fullmatch(folded) or any(folded in run for run in RUNS):
        return True
    bare = DECORATION.sub("", folded)
    if not bare:
        return folded.isascii() and len(folded) <= LONGEST_DATE
    return not WORDS.isdisjoint({bare, bare.translate(DISGUISES), DECORATION.sub("", folded.translate(DISGUISES))})
