<?xml version="1.0" encoding="UTF-8"?>
<!-- The app's manifest with its package and all that the library's manifest asks for; the Gradle plugin merges by itself. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:param name="package"/>
  <xsl:param name="library"/>
  <xsl:variable name="merged" select="document($library)/manifest"/>

  <xsl:template match="@*|node()">
    <xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>
  </xsl:template>

  <xsl:template match="/manifest">
    <xsl:copy>
      <xsl:attribute name="package"><xsl:value-of select="$package"/></xsl:attribute>
      <xsl:apply-templates select="@*"/>
      <xsl:copy-of select="$merged/*[name() != 'application']"/>
      <xsl:apply-templates select="node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="application">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:copy-of select="$merged/application/*"/>
    </xsl:copy>
  </xsl:template>
</xsl:stylesheet>
