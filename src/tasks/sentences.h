#pragma once

#include <array>
#include <string_view>

namespace assay::tasks {

/// Inputs for the fidelity of encoders when no text is given: plain English of varied length and
/// subject, so that activations look like those of real use.
inline constexpr std::array<std::string_view, 24> kSentences = {
    "The ferry left ten minutes late because of the fog.",
    "How many bytes does a single weight need?",
    "She repaired the old radio with parts from two broken ones.",
    "Prices rose by 3.5 % in March, less than most analysts had expected.",
    "No.",
    "The committee will publish its findings next Tuesday, after the members have had time to read "
    "the comments that were sent in from all over the country.",
    "A cat slept on the warm hood of the car.",
    "This is the worst sandwich I have ever paid for.",
    "What a wonderful, quiet, unhurried film!",
    "Turn left at the bakery and follow the river until you see a red bridge.",
    "The compiler moved the load out of the loop, which made the function twice as fast.",
    "My grandmother's garden had three apple trees, a pear tree and far too many snails.",
    "Please reset my password; the link in the e-mail has expired.",
    "Water boils at a lower temperature on a mountain than it does at sea level.",
    "He said he would call, and he did not call.",
    "The patient was given 20 mg twice a day for two weeks, with no side effects reported.",
    "Goal! With only seconds to play, the visitors have turned the match around.",
    "An honest benchmark tells you what it measured, how often, and how sure it is.",
    "It was neither good nor bad, just long.",
    "Section 4 applies to contracts signed before the first of January.",
    "Mix flour, butter and sugar; add the eggs one at a time; bake for forty minutes.",
    "The museum opens at nine, but the line forms at eight.",
    "Light from that star set out before the pyramids were built.",
    "Would you rather be early and bored or late and embarrassed?"};

}  // namespace assay::tasks
