// A process of Nextflow: registers a moving image to a fixed one; all files begin with the identifier of the pair.

process WARPLINE_REGISTER {
    tag "${id}"

    input:
    tuple val(id), path(fixed), path(moving)
    val recipe

    output:
    tuple val(id), path("${id}_Warped.nii.gz"), emit: warped
    tuple val(id), path("${id}_1Warp.nii.gz"), path("${id}_0GenericAffine.mat"), emit: transforms, optional: true
    tuple val(id), path("${id}_report.json"), emit: report

    script:
    """
    warpline register ${fixed} ${moving} --output ${id}_ --recipe ${recipe} --threads ${task.cpus} --quiet
    """
}
