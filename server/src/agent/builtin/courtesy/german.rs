//! The same courtesies in German. Words come without accents, as the index has them.

use super::Courtesy;

/// None: there is something in it to look up, or it is another language's business.
pub fn of(words: &[String]) -> Option<Courtesy> {
    let has = |any: &[&str]| words.iter().any(|w| any.contains(&w.as_str()));
    let says = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words
            .windows(phrase.len())
            .any(|w| w.iter().zip(&phrase).all(|(a, b)| a == b))
    };
    let any_of = |phrases: &[&str]| phrases.iter().any(|phrase| says(phrase));
    if words.len() <= 9 && any_of(ABOUT_ME) && has(WHAT_I_AM) {
        return Some(Courtesy::WhoAreYou);
    }
    if words.len() <= 12 && has(PERSON) && has(REACH) && !any_of(ABOUT_ME) {
        return Some(Courtesy::Person);
    }
    if !words.iter().all(|w| SMALL.contains(&w.as_str())) {
        return None;
    }
    let courtesies = [
        (
            any_of(&["wer bist du", "wer sind sie"]),
            Courtesy::WhoAreYou,
        ),
        (any_of(HELP) || words == ["hilfe"], Courtesy::Help),
        (any_of(&["wie geht es", "wie gehts"]), Courtesy::HowAreYou),
        (
            has(&["danke", "dank", "dankeschon", "merci"]),
            Courtesy::Thanks,
        ),
        (
            has(&["tschuss", "tschuß", "tschau", "ciao", "wiedersehen"])
                || any_of(&["bis bald", "bis spater", "gute nacht", "schonen tag"]),
            Courtesy::Goodbye,
        ),
        (
            has(&["hallo", "moin", "servus", "gruezi"])
                || any_of(&[
                    "guten tag",
                    "guten morgen",
                    "guten abend",
                    "gruß gott",
                    "gruss gott",
                ]),
            Courtesy::Greeting,
        ),
        (
            has(&[
                "ja",
                "nein",
                "gut",
                "prima",
                "toll",
                "klar",
                "verstanden",
                "gerne",
                "genau",
            ]),
            Courtesy::Agreement,
        ),
    ];
    let found = courtesies.into_iter().find(|(is, _)| *is);
    found.map(|(_, courtesy)| courtesy)
}

const ABOUT_ME: &[&str] = &[
    "bist du",
    "sind sie",
    "spreche ich",
    "rede ich",
    "schreibe ich",
];
const WHAT_I_AM: &[&str] = &[
    "mensch", "menschen", "bot", "roboter", "ki", "maschine", "echt", "computer",
];
const PERSON: &[&str] = &[
    "mensch",
    "menschen",
    "mitarbeiter",
    "mitarbeiterin",
    "jemand",
    "jemandem",
    "jemanden",
    "berater",
    "beraterin",
    "kundendienst",
    "ansprechpartner",
];
const REACH: &[&str] = &[
    "sprechen",
    "reden",
    "chatten",
    "schreiben",
    "telefonieren",
    "verbinden",
    "verbunden",
    "weiterleiten",
    "erreichen",
    "bitte",
];
const HELP: &[&str] = &[
    "was kannst du",
    "was konnen sie",
    "kannst du mir helfen",
    "konnen sie mir helfen",
    "ich habe eine frage",
    "ich brauche hilfe",
];

/// All that a message without a question consists of.
const SMALL: &[&str] = &[
    "hallo",
    "moin",
    "servus",
    "gruezi",
    "hi",
    "hey",
    "guten",
    "gute",
    "tag",
    "morgen",
    "abend",
    "nacht",
    "gruß",
    "gruss",
    "gott",
    "zusammen",
    "danke",
    "dank",
    "dankeschon",
    "merci",
    "vielen",
    "besten",
    "lieben",
    "schon",
    "schonen",
    "sehr",
    "nett",
    "dir",
    "ihnen",
    "euch",
    "das",
    "war",
    "alles",
    "fur",
    "die",
    "hilfe",
    "tschuss",
    "tschuß",
    "tschau",
    "ciao",
    "auf",
    "wiedersehen",
    "bis",
    "bald",
    "spater",
    "dann",
    "noch",
    "einen",
    "wie",
    "geht",
    "gehts",
    "es",
    "ja",
    "nein",
    "gut",
    "super",
    "prima",
    "toll",
    "klar",
    "ok",
    "okay",
    "verstanden",
    "gerne",
    "genau",
    "und",
    "bitte",
    "wer",
    "bist",
    "du",
    "sind",
    "sie",
    "was",
    "kannst",
    "konnen",
    "mir",
    "helfen",
    "ich",
    "habe",
    "eine",
    "frage",
    "brauche",
    "mal",
    "denn",
    "eigentlich",
    "hier",
];

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn german_courtesies_are_recognised() {
        for text in ["Hallo", "Guten Tag!", "moin moin", "Hallo zusammen"] {
            check(text, Some(Courtesy::Greeting));
        }
        for text in ["Danke!", "Vielen Dank für die Hilfe", "super, danke schön"] {
            check(text, Some(Courtesy::Thanks));
        }
        check("Tschüss", Some(Courtesy::Goodbye));
        check("Auf Wiedersehen und danke", Some(Courtesy::Thanks));
        check("Wie geht es dir?", Some(Courtesy::HowAreYou));
        check("Wer bist du denn?", Some(Courtesy::WhoAreYou));
        check(
            "Bist du ein Mensch oder ein Bot?",
            Some(Courtesy::WhoAreYou),
        );
        check("Spreche ich mit einem Menschen?", Some(Courtesy::WhoAreYou));
        check("Was kannst du?", Some(Courtesy::Help));
        check("Ja gut", Some(Courtesy::Agreement));
    }

    #[test]
    fn asking_for_a_person_in_german_is_recognised() {
        for text in [
            "Ich möchte mit einem Menschen sprechen",
            "Kann ich mit einem Mitarbeiter reden?",
            "Bitte jemanden vom Kundendienst",
        ] {
            check(text, Some(Courtesy::Person));
        }
    }

    #[test]
    fn a_german_question_is_no_courtesy() {
        for text in [
            "Hallo, wo ist mein Paket?",
            "Danke! Und wie lange dauert die Lieferung?",
            "Wie viele Mitarbeiter habt ihr?",
            "Was kostet der Versand?",
        ] {
            check(text, None);
        }
    }
}
