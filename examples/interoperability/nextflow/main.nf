// nextflow run main.nf --fixed fixed.nii.gz --moving 'sub-*.nii.gz'

include { WARPLINE_REGISTER } from './register.nf'

params.fixed = 'fixed.nii.gz'
params.moving = 'sub-*.nii.gz'
params.recipe = 'syn'

workflow {
    pairs = Channel.fromPath(params.moving).map { moving -> tuple(moving.simpleName, file(params.fixed), moving) }
    WARPLINE_REGISTER(pairs, params.recipe)
}
