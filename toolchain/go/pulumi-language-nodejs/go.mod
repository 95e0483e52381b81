module moorage/toolchain/pulumi-language-nodejs

go 1.26.0

require (
	github.com/pulumi/pulumi/sdk/v3 v3.60.0
)
