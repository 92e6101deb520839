// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names the programs that engines.py builds, so that go.mod and go.sum pin them and all that they need.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
