//! The nearest valid spelling, for error texts.

/// The candidate that `word` was probably meant to be, if any is near enough to be worth saying.
///
/// Near is a Damerau-Levenshtein distance of at most a third of the longer word, and at least two.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `unknown key 'x', did you mean 'y'?`: the hint of an unknown word, or the list of what there is.
pub fn hint(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean '{candidate}'?"),
        None => format!("valid are: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        assert_eq!(nearest("on_requst", ["on_response", "on_request", "name"]), Some("on_request"));
        assert_eq!(nearest("manifets", ["manifests", "plugins"]), Some("manifests"));
        assert_eq!(nearest("zebra", ["manifests", "plugins"]), None);
    }

    #[test]
    fn a_far_word_gets_the_whole_list() {
        assert_eq!(hint("zebra", &["off", "common", "json"]), "valid are: off, common, json");
    }
}
