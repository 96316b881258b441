#pragma once

#include "precision/encodings/iq4.h"
#include "precision/encodings/k_quants.h"
#include "precision/encodings/mxfp4.h"
#include "precision/encodings/q5.h"

namespace assay::precision {

struct NamedForm {
  Encoding encoding;
  const BlockForm* form;
};

/// Every encoding with EncodingInfo::blocks, as constants: kernels are compiled from this list.
inline constexpr std::array<NamedForm, 10> kBlockForms = {{{Encoding::q5_0, &kQ5_0Form},
                                                           {Encoding::q5_1, &kQ5_1Form},
                                                           {Encoding::q2_k, &kQ2_KForm},
                                                           {Encoding::q3_k, &kQ3_KForm},
                                                           {Encoding::q4_k, &kQ4_KForm},
                                                           {Encoding::q5_k, &kQ5_KForm},
                                                           {Encoding::q6_k, &kQ6_KForm},
                                                           {Encoding::iq4_nl, &kIq4NlForm},
                                                           {Encoding::iq4_xs, &kIq4XsForm},
                                                           {Encoding::mxfp4, &kMxfp4Form}}};

}  // namespace assay::precision
