// SPDX-License-Identifier: Apache-2.0
//! The filter with the real library and the real rules.
