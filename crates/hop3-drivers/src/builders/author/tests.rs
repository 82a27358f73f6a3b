// SPDX-License-Identifier: Apache-2.0
//! Tests of what is read from the files of an app.
